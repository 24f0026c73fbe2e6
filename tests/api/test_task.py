"""Task handles on the fake engine. See also `test_on_docker`."""

from __future__ import annotations

import io
import json
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.app import App
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer, Scripted
from localrun.errors import Cause, EngineUnreachable, InputsError, TaskNotFound, UsageError
from localrun.task.states import TaskState
from tests.cli import test_inputs as images
from tests.manager.test_recovery import abandoned, add, with_container
from tests.support.ctrl_c import pressed_in
from tests.support.descriptors import as_json
from tests.support.environment import Environment, make_environment
from tests.support.image_files import png
from tests.values.test_crop import polygon
from tests.values.test_input_folder import fill

OPTIONS: dict[str, Any] = {"pull": "never", "a": 3, "b": 4}


def fail(container: FakeContainer) -> int:
    container.stderr.write("one\ntwo\nno luck\n")
    return 3


def hang(container: FakeContainer) -> int:
    container.stdout.write("working\n")
    container.stopped.wait(60)
    return 0


@contextmanager
def env_of(folder: Path, program: Any = add, **settings: Any) -> Iterator[Environment]:
    with make_environment(folder, program, **settings) as env, localrun.using(env.app):
        yield env


def submit(env: Environment, **options: Any) -> localrun.Task:
    given = {"use_image": env.image, "home": env.app.settings.home, **OPTIONS, **options}
    return localrun.submit(env.bundle, **given)


def run(env: Environment, **options: Any) -> dict[str, Any]:
    given = {"use_image": env.image, "home": env.app.settings.home, **OPTIONS, **options}
    return localrun.run(env.bundle, **given)


@contextmanager
def elsewhere(env: Environment) -> Iterator[Path]:
    """The view of another process: the same folder and engine, but no shared memory."""
    app = App(env.app.settings, env.engine)
    with localrun.using(app):
        yield app.settings.home
    app.manager.shutdown(on_exit="wait")


# -- running ------------------------------------------------------------------------------------------


def test_run_returns_the_outputs_by_name(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        assert run(env) == {"sum": 7}


def test_a_task_that_fails_raises_its_cause_its_message_and_its_record(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env, pytest.raises(localrun.TaskFailed) as caught:
        run(env)
    error = caught.value
    assert (error.cause, error.record.exit_code, error.record.state) == (Cause.EXIT_NONZERO, 3, "FAILED")
    assert "no luck" in error.message
    assert error.remedy == error.record.remedy != ""


def test_the_error_of_a_task_passes_from_one_process_to_another(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env, pytest.raises(localrun.TaskFailed) as caught:
        run(env)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.cause, copy.message, copy.record) == (
        caught.value.cause,
        caught.value.message,
        caught.value.record,
    )


def test_all_outputs_that_do_not_fit_are_in_the_error(tmp_path: Path) -> None:
    with env_of(tmp_path, lambda container: 0) as env, pytest.raises(localrun.TaskFailed) as caught:
        run(env)
    assert [problem.path for problem in caught.value.problems] == ["outputs.sum"]


def test_wrong_values_are_refused_at_once_all_of_them(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        with pytest.raises(InputsError) as caught:
            submit(env, a="three", c=1)
        assert sorted(problem.path for problem in caught.value.problems) == ["inputs.a", "inputs.c"]
        assert env.app.tasks() == []


def test_wrong_options_are_refused_all_of_them(tmp_path: Path) -> None:
    with env_of(tmp_path) as env, pytest.raises(UsageError) as caught:
        submit(env, timeout="soon", memory=-1, cpus=True, gpus="1", retries=-1)
    found = [problem.path for problem in caught.value.problems]
    assert found == ["timeout", "cpus", "memory", "gpus", "retries"]


def test_a_platform_is_kept_for_the_image_and_an_invalid_one_is_refused(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env, platform="x86_64")
        task.wait()
        with pytest.raises(UsageError) as caught:
            submit(env, platform="linux/arm46")
    assert (task.info.run_plan.platform, task.info.platform) == ("linux/amd64", "linux/amd64")
    assert "did you mean 'arm64'?" in caught.value.problems[0].message


def test_amounts_may_be_strings_with_units(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env, timeout="10m", memory="64Mi")
        task.wait()
    assert (task.info.timeout, task.info.resources.memory) == (600, 64 * 1024**2)


def test_inputs_named_like_options_can_be_passed(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        assert run(env, a=0, inputs={"a": 10}) == {"sum": 14}


def test_files_are_given_as_paths(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> None:
        container.path("/outputs/copy").write_bytes(container.path("/inputs/text").read_bytes())

    with env_of(tmp_path, program) as env:
        text = env.bundle.read_text()
        head, _, _ = text.partition("inputs:\n")
        parameter = "{type: file, description: d, display_name: D}"
        env.bundle.write_text(f"{head}inputs:\n  text: {parameter}\noutputs:\n  copy: {parameter}\n")
        (tmp_path / "words").write_text("to be")
        found = localrun.run(
            env.bundle,
            use_image=env.image,
            pull="never",
            home=env.app.settings.home,
            text=tmp_path / "words",
        )
    assert found["copy"].read_text() == "to be"


def test_a_geometry_is_given_back_as_the_path_of_its_file(tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    with env_of(tmp_path, Scripted(outputs={"place": point})) as env:
        head, _, _ = env.bundle.read_text().partition("outputs:\n")
        parameter = "{type: geometry, description: d, display_name: D}"
        env.bundle.write_text(f"{head}outputs:\n  place: {parameter}\n")
        found = run(env)
    assert json.loads(found["place"].read_text()) == point


# -- handles ------------------------------------------------------------------------------------------


def test_handles_on_one_id_are_one_task(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        home = env.app.settings.home
        assert {task, localrun.Task(task.id, home), localrun.Task("last", home)} == {task}
        assert localrun.Task(task.id[:8], home).wait() == "FINISHED"
        assert task.id[:8] in repr(task)


def test_an_unknown_id_is_rejected_at_once(tmp_path: Path) -> None:
    with env_of(tmp_path) as env, pytest.raises(TaskNotFound, match="no task 'abc'"):
        localrun.Task("abc", env.app.settings.home)


def test_the_state_can_be_asked_for_at_any_time(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        assert task.wait_for("RUNNING", 60) == "RUNNING"
        assert (task.is_running, task.is_terminal, task.is_failed) == (True, False, False)
        assert task.kill() is TaskState.KILLED
        assert (task.is_running, task.is_terminal, task.is_failed) == (False, True, True)


def test_waiting_times_out_and_the_task_continues(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        for wait in (task.wait, lambda limit: task.wait_for("FINISHED", limit)):
            with pytest.raises(TimeoutError, match=r"after 0\.05 s"):
                wait(0.05)
        assert not task.is_terminal
        task.kill()


def test_waiting_for_a_state_ends_with_the_task(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        assert submit(env).wait_for("FINISHED", 60) == "FAILED"


def test_a_state_that_has_passed_is_not_waited_for(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        assert task.wait_for(TaskState.RUNNING) == "FINISHED"


def test_a_misspelt_state_gets_a_suggestion(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        with pytest.raises(UsageError, match="did you mean 'RUNNING'"):
            task.wait_for("RUNING")
        task.wait()


def test_killing_a_task_that_has_ended_changes_nothing(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        assert task.kill() == "FINISHED"


def test_the_position_in_the_queue_is_reported(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        cpus = env.engine.info().cpus
        tasks = [submit(env, cpus=cpus) for _ in range(3)]
        tasks[0].wait_for("RUNNING", 60)
        assert [task.position_in_queue for task in tasks] == [None, 0, 1]
        for task in reversed(tasks):
            task.kill()


# -- Ctrl+C -------------------------------------------------------------------------------------------


def test_ctrl_c_ends_the_waiting_and_not_the_task(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        task.wait_for("RUNNING")
        with pressed_in("wait_until_done"), pytest.raises(KeyboardInterrupt):
            task.wait()
        assert task.is_running
        task.kill()


def test_ctrl_c_in_a_sync_context_stops_the_task(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        task.wait_for("RUNNING")
        with pressed_in("wait_until_done"), pytest.raises(KeyboardInterrupt), task.sync_context():
            task.wait()
        assert task.status is TaskState.KILLED


def test_an_error_in_a_sync_context_stops_the_task_and_is_raised(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        with pytest.raises(ValueError, match="mine"), task.sync_context():
            raise ValueError("mine")
        assert task.status is TaskState.KILLED


def test_a_sync_context_does_not_wait(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        with task.sync_context() as same:
            assert same is task
        assert not task.is_terminal
        task.kill()


# -- other processes ----------------------------------------------------------------------------------


def test_a_task_of_another_process_is_waited_for_and_gives_its_outputs(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        go.wait(60)
        return add(container)

    with env_of(tmp_path, program) as env:
        task_id = submit(env).id
        with elsewhere(env) as home:
            task = localrun.Task(task_id, home)
            task.wait_for("RUNNING", 60)
            go.set()
            assert (task.wait(60), task.outputs) == ("FINISHED", {"sum": 7})


def test_a_task_of_another_process_can_be_killed(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task_id = submit(env).id
        with elsewhere(env) as home:
            assert localrun.Task(task_id, home).kill() is TaskState.KILLED


def test_a_task_that_waits_in_another_process_can_be_killed(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        cpus = env.engine.info().cpus
        first, second = submit(env, cpus=cpus), submit(env, cpus=cpus)
        first.wait_for("RUNNING", 60)
        with elsewhere(env) as home:
            assert localrun.Task(second.id, home).kill() is TaskState.KILLED
        first.kill()


@pytest.mark.parametrize("state", ["PROVISIONED", "QUEUING", "PENDING"])
def test_a_task_whose_process_died_before_it_ran_is_resumed_by_a_waiter(tmp_path: Path, state: str) -> None:
    with env_of(tmp_path) as env:
        task = localrun.Task(abandoned(env, state).id, env.app.settings.home)
        assert (task.wait(60), task.outputs) == ("FINISHED", {"sum": 7})


def test_a_container_whose_process_died_is_resumed_by_a_waiter(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        left = abandoned(env, "RUNNING")
        with_container(env, left)
        task = localrun.Task(left.id, env.app.settings.home)
        assert (task.wait(60), task.outputs) == ("FINISHED", {"sum": 7})
        assert env.engine.find({"localrun.task": ""}) == []


def test_a_container_whose_process_died_can_be_killed(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        left = abandoned(env, "RUNNING")
        with_container(env, left)
        assert localrun.Task(left.id, env.app.settings.home).kill() is TaskState.KILLED
        assert env.engine.find({"localrun.task": ""}) == []


def test_multiple_waiters_resume_a_task_once(tmp_path: Path) -> None:
    runs: list[str] = []

    def program(container: FakeContainer) -> int:
        runs.append(container.handle)
        return add(container)

    with env_of(tmp_path, program) as env:
        left = abandoned(env, "QUEUING")
        apps = [App(env.app.settings, env.engine) for _ in range(8)]
        found: list[TaskState] = []
        threads = [
            threading.Thread(target=lambda app=app: found.append(app.wait(left.id).state)) for app in apps
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (found, len(runs)) == ([TaskState.FINISHED] * 8, 1)


def test_an_unreachable_engine_is_reported_to_waiters_and_the_task_stays(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        left = abandoned(env, "QUEUING")
        away = App(env.app.settings, None)
        away.__dict__["engine"] = DockerEngine("unix:///nowhere.sock")
        with localrun.using(away), pytest.raises(EngineUnreachable):
            localrun.Task(left.id, env.app.settings.home).wait(60)
        with localrun.using(env.app):
            assert localrun.Task(left.id, env.app.settings.home).wait(60) == "FINISHED"


def test_waiting_for_inputs_that_cannot_arrive_is_refused(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        made = env.app.manager.create_task({"bundle": str(env.bundle), "image": env.image})
        env.app.manager.shutdown()
        with elsewhere(env) as home:
            task = localrun.Task(made.id, home)
            with pytest.raises(UsageError, match="is CREATED, but no process owns it"):
                task.wait(60)
            assert task.kill() is TaskState.KILLED


# -- results ----------------------------------------------------------------------------------------


def test_outputs_are_asked_for_after_the_end(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        with pytest.raises(UsageError, match="has not ended"):
            _ = task.outputs
        with pytest.raises(UsageError, match="has not ended"):
            task.download_outputs(dest=tmp_path / "out")
        task.kill()
        assert not (tmp_path / "out").exists()


def test_outputs_are_copied_to_a_folder(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        assert task.download_outputs(dest=tmp_path / "out") == tmp_path / "out"
        assert (tmp_path / "out/sum").read_text() == "7"
        assert task.download_outputs(["sum"], tmp_path / "one") == tmp_path / "one"


def test_outputs_go_to_a_folder_of_the_task_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        assert task.download_outputs() == tmp_path / "localrun_output" / task.id


def test_every_missing_output_is_reported(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        with pytest.raises(UsageError) as caught:
            task.download_outputs(["sun", "sum", "other"], tmp_path / "out")
        assert [problem.path for problem in caught.value.problems] == ["sun", "other"]
        assert "did you mean 'sum'" in str(caught.value)
        assert not (tmp_path / "out").exists()


def test_the_log_is_a_string(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        task.wait()
        assert task.logs() == "one\ntwo\nno luck\n"
        assert task.logs(lines=1) == "no luck\n"
        assert task.logs(lines=0) == ""


def test_a_summary_says_where_the_time_went_and_why_it_ended(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        task.wait()
        out = io.StringIO()
        task.print_summary(out)
    text = out.getvalue()
    assert text.startswith(f"Task {task.id}: FAILED (EXIT_NONZERO)\n")
    for words in ("Timeline:", "RUNNING ", "exit code 3", "hint:", "outputs:  0 files"):
        assert words in text


def test_a_summary_of_a_task_that_runs_says_so(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        task.wait_for("RUNNING", 60)
        assert "(ongoing)" in task.summary
        task.kill()


def test_metadata_is_kept_with_the_task(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        assert task.metadata == {}
        task.metadata = {"sample": "A1"}
        task.wait()
        with elsewhere(env) as home:
            assert localrun.Task(task.id, home).metadata == {"sample": "A1"}


# -- the package --------------------------------------------------------------------------------------


def test_the_package_is_light_until_it_is_used() -> None:
    import subprocess
    import sys

    heavy = "{'click', 'msgspec', 'yaml', 'rich', 'docker', 'psutil', 'localrun.api'}"
    code = f"import sys, localrun; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_package_lists_its_names_and_knows_no_others() -> None:
    assert {"Task", "TaskFailed", "run", "submit", "wait_all"} <= set(dir(localrun))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = localrun.nothing  # type: ignore[attr-defined]


# -- shown as it goes ---------------------------------------------------------------------------------


def test_waiting_can_show_what_happens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with env_of(tmp_path, fail) as env:
        assert submit(env).wait(show=True) == "FAILED"
    shown = capsys.readouterr()
    assert "] state RUNNING\n" in shown.err
    assert "] out | no luck\n" in shown.err
    assert "FAILED (EXIT_NONZERO): the task failed with exit code 3" in shown.err
    assert shown.out == ""


def test_waiting_shows_nothing_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with env_of(tmp_path, fail) as env:
        submit(env).wait()
    assert capsys.readouterr().err == ""


def test_waiting_that_shows_has_its_limit_too(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        with pytest.raises(TimeoutError, match=r"has not ended after 0\.05 s"):
            task.wait(0.05, show=True)
        task.kill()


class TestInputs:
    def test_inputs_come_from_a_folder_that_values_override(self, tmp_path: Path) -> None:
        fill(tmp_path / "inputs", {"a": "1", "b": "2"})
        with env_of(tmp_path) as env:
            given: dict[str, Any] = {"use_image": env.image, "home": env.app.settings.home}
            assert localrun.run(env.bundle, inputs=tmp_path / "inputs", **given) == {"sum": 3}
            assert localrun.run(env.bundle, inputs=str(tmp_path / "inputs"), b=5, **given) == {"sum": 6}

    def test_inputs_come_from_a_file_of_values(self, tmp_path: Path) -> None:
        (tmp_path / "inputs.json").write_text('{"a": 1, "b": 2}')
        with env_of(tmp_path) as env:
            given: dict[str, Any] = {"use_image": env.image, "home": env.app.settings.home}
            assert localrun.run(env.bundle, inputs=tmp_path / "inputs.json", a=4, **given) == {"sum": 6}

    def test_a_path_that_is_neither_is_refused(self, tmp_path: Path) -> None:
        with env_of(tmp_path) as env, pytest.raises(InputsError, match="cannot read"):
            localrun.submit(env.bundle, inputs=tmp_path / "gone", use_image=env.image)

    def test_the_inputs_of_a_task_are_downloaded_as_such_a_folder(self, tmp_path: Path) -> None:
        with env_of(tmp_path) as env:
            task = submit(env)
            task.wait()
            folder = task.download_inputs(tmp_path / "copy")
            assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "3", "b": "4"}
            given: dict[str, Any] = {"use_image": env.image, "home": env.app.settings.home}
            assert localrun.run(env.bundle, inputs=folder, **given) == {"sum": 7}

    def test_a_crop_and_its_geometries_in_the_whole_image(self, tmp_path: Path) -> None:
        image = tmp_path / "image.png"
        image.write_bytes(png(9, 7))
        with env_of(tmp_path, images.program) as env:
            env.bundle.write_text(json.dumps(as_json(images.INPUTS, images.OUTPUTS)))
            given: dict[str, Any] = {"use_image": env.image, "home": env.app.settings.home}
            task = localrun.submit(env.bundle, image={"file": image, "crop": polygon(2, 1, 6, 5)}, **given)
            task.wait()
            assert task.info.regions == {"image": polygon(0, 0, 4, 4)}
            folder = task.download_outputs(dest=tmp_path / "out", in_image=True)
            assert json.loads((folder / "cells/0").read_text())["coordinates"] == [3, 3]
