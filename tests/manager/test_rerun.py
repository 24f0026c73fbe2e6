"""Rerun of a task: which parts are reused, and which changes are reported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localrun.errors import BundleError, InputsError, UsageError
from localrun.manager.request import Request
from localrun.manager.rerun import changed_since, request_from
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.workspace import Workspace
from tests.manager.test_recovery import add
from tests.support.environment import DESCRIPTOR, IMAGE, Environment, make_environment

WITH_FILES = DESCRIPTOR.replace(
    "  b: {type: integer, description: other, display_name: B}\n",
    "  f: {type: file, description: other, display_name: F}\n"
    "  fs: {type: {id: array, subtype: file}, description: more, display_name: Fs, optional: true}\n",
)


def again(env: Environment, record: TaskRecord, **options: Any) -> tuple[Request, list[str]]:
    said: list[str] = []
    given = {"has_image": lambda image: env.engine.find_image(image) is not None, **options}
    return request_from(record, Workspace(Path(record.folder)), said.append, **given), said


def copied(env: Environment, tmp_path: Path) -> tuple[TaskRecord, Path]:
    """Run a task whose input file was copied, because other users may not read it."""
    env.bundle.write_text(WITH_FILES)
    path = tmp_path / "given.txt"
    path.write_text("old")
    path.chmod(0o600)
    return env.run(values={"a": 1, "f": path}), path


def test_bundle_values_and_options_are_those_of_the_task(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        asked: dict[str, Any] = {
            "values": {"a": 3, "b": 4},
            "timeout": 77.0,
            "cpus": 0.5,
            "network": True,
            "hardened": True,
            "writable_inputs": True,
            "retries": 2,
            "environment": {"X": "1"},
            "command": ["x"],
            "build_args": {"N": "V"},
            "target": "last",
            "platform": "linux/amd64",
            "build_contexts": {"base": "docker-image://x"},
        }
        record = env.run(**asked)
        request, said = again(env, record)
    own: dict[str, Any] = {"image": IMAGE, "pull": "never", "agree": 1, "rerun_of": record.id}
    assert request == Request(env.bundle, **own, **asked)
    assert said == []


def test_every_field_that_a_plan_and_a_request_share_is_taken_over() -> None:
    shared = {field for field in RunPlan.__struct_fields__ if field in Request.__struct_fields__}
    assert shared - {"bundle", "values", "detached", "held"} <= {
        *("image", "build_args", "pull", "command", "environment"),
        *("writable_inputs", "copy_inputs", "hardened", "retries"),
        *("profile", "callback", "hostname", "replicas", "agree", "bind_mounts"),
        *("dockerfile", "context", "target", "platform", "build_contexts", "build_secret_ids"),
    }, "say in `repeat` whether the new one is to be repeated, and here"


def test_limits_of_the_descriptor_are_left_to_it_as_it_is_now(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4})
        request, _ = again(env, record)
    assert (request.cpus, request.memory, request.gpus, request.network) == (None, None, None, None)


def test_an_input_that_is_given_anew_is_not_looked_for(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record, path = copied(env, tmp_path)
        path.unlink()
        (Path(record.folder) / "inputs" / "f").unlink()
        assert again(env, record, replaced=["f"])[0].values == {"a": 1}


def test_of_a_file_that_has_changed_the_copy_is_used_and_that_is_said(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record, path = copied(env, tmp_path)
        path.write_text("new")
        request, said = again(env, record)
    assert request.values["f"] == Path(record.folder) / "inputs" / "f"
    assert said == [f"{path} has changed: using the copy of task {record.short_id}"]


def test_of_a_file_that_is_gone_the_copy_is_used_and_that_is_said(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record, path = copied(env, tmp_path)
        path.unlink()
        request, said = again(env, record)
    assert request.values["f"].read_text() == "old"
    assert said == [f"{path} is gone: using the copy of task {record.short_id}"]


def test_a_copy_that_the_task_could_change_is_not_the_same_input(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = env.run(values={"a": 1, "f": path}, writable_inputs=True)
        path.write_text("new")
        request, said = again(env, record)
    assert request.values["f"] == path
    assert said == [f"{path} has changed since task {record.short_id}"]


def edit(path: Path) -> str:
    path.write_text("longer")
    return "it had 3 bytes, now 6"


def touch(path: Path) -> str:
    os.utime(path, (1, 1))
    return "it was modified on 1970-"


def replace(path: Path) -> str:
    new = path.with_name("new")
    new.write_text("new")
    status = path.stat()
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.replace(path)
    return "it was replaced by another file"


@pytest.mark.parametrize("change", [edit, touch, replace])
def test_a_mounted_file_that_has_changed_is_refused_with_the_difference(
    tmp_path: Path, change: Callable[[Path], str]
) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = env.run(values={"a": 1, "f": path})
        request, said = again(env, record)
        assert (request.values, said) == ({"a": 1, "f": path}, [])
        difference = change(path)
        with pytest.raises(InputsError, match="missing or have changed") as caught:
            again(env, record)
        (problem,) = caught.value.problems
        assert problem.path == "inputs.f"
        assert problem.message.startswith(f"{path} has changed since task {record.short_id} was submitted")
        assert difference in problem.message
        assert problem.remedy == f"pass it: -i f=@{path}"
        request, said = again(env, record, replaced={"f"})
        assert (request.values, said) == ({"a": 1}, [])


def test_a_link_that_leads_to_another_file_is_a_changed_file(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        for name in ("one", "two"):
            (tmp_path / name).write_text("same")
        link = tmp_path / "link"
        link.symlink_to("one")
        record = env.run(values={"a": 1, "f": link})
        link.unlink()
        link.symlink_to("two")
        with pytest.raises(InputsError) as caught:
            again(env, record)
    assert caught.value.problems[0].message.endswith(f"it was {tmp_path / 'one'}")


def test_a_mounted_file_of_an_older_version_is_refused_if_it_was_modified_later(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = env.run(values={"a": 1, "f": path})
        record = record.replace(plan=record.run_plan.replace(mount_states={}))
        assert again(env, record)[0].values == {"a": 1, "f": path}
        path.write_text("new")
        with pytest.raises(InputsError, match="modified after that"):
            again(env, record)


def test_a_file_that_was_copied_on_request_need_not_exist_any_more(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = env.run(values={"a": 1, "f": path}, copy_inputs=True)
        path.unlink()
        request, _ = again(env, record)
    assert request.copy_inputs
    assert request.values["f"].read_text() == "old"


def test_every_file_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        env.bundle.write_text(WITH_FILES)
        paths = [tmp_path / name for name in "xyz"]
        for path in paths:
            path.write_text("old")
        record = env.run(values={"a": 1, "f": paths[0], "fs": paths[1:]})
        paths[0].unlink()
        paths[2].unlink()
        with pytest.raises(InputsError) as caught:
            again(env, record)
    assert [problem.path for problem in caught.value.problems] == ["inputs.f", "inputs.fs/1"]
    assert caught.value.problems[0].remedy == "pass it: -i f=@FILE"


def test_a_bundle_that_is_gone_is_replaced_by_what_the_task_had(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4})
        env.bundle.unlink()
        request, said = again(env, record)
        assert (request.image, request.pull) == (record.image, "never")
        assert request.descriptor == DESCRIPTOR.encode()
        assert said == [f"{env.bundle} is gone: using the image and the descriptor of task {record.short_id}"]
        assert env.app.manager.wait(env.app.manager.submit(request)).outputs == {"sum": 7}  # type: ignore[union-attr]


def test_without_bundle_and_image_there_is_nothing_to_run(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4})
        env.bundle.unlink()
        with pytest.raises(BundleError, match=r"is gone, and the engine no longer has the image sha256:\w+"):
            again(env, record, has_image=lambda _: False)
        with pytest.raises(BundleError, match="the task ended before it had an image"):
            again(env, record.replace(image=""))
        assert again(env, record, has_image=lambda _: False, image="other:1")[0].image == "other:1"


def test_the_very_image_can_be_had_though_the_bundle_is_there(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4})
        env.bundle.write_text("changed: since")
        request, said = again(env, record, same_image=True)
    assert (request.image, request.descriptor, said) == (record.image, DESCRIPTOR.encode(), [])


def test_without_the_image_the_remedy_is_the_bundle(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4}).replace(image="")
        with pytest.raises(BundleError, match="before it had an image") as raised:
            again(env, record, same_image=True)
    commands = f"`localrun rerun {record.short_id}` or `localrun shell {env.bundle}`"
    assert raised.value.remedy == f"use its bundle: {commands}"


def test_a_task_of_a_repeated_task_can_be_repeated(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        record = env.run(values={"a": 3, "b": 4})
        env.bundle.unlink()
        for _ in range(2):
            request, _ = again(env, record)
            record = env.app.manager.wait(env.app.manager.submit(request)) or record
    assert record.outputs == {"sum": 7}


def test_a_task_that_waited_for_inputs_is_repeated_with_those_that_it_had(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        payload = {"bundle": str(env.bundle), "image": IMAGE, "inputs": {"a": 3}}
        task = env.app.manager.create_task(payload)
        request, _ = again(env, task.record)
    assert (task.record.state, request.values) == ("CREATED", {"a": 3})


def test_a_task_without_a_container_cannot_be_repeated(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        task = env.app.manager.create_task({"any": "thing"})
        with pytest.raises(UsageError, match="has no container"):
            again(env, task.record)


def test_a_changed_descriptor_is_noticed(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        before = env.run(values={"a": 3, "b": 4})
        same = env.run(values={"a": 3, "b": 4})
        env.bundle.write_text(DESCRIPTOR.replace("64Mi", "65Mi"))
        after = env.run(values={"a": 3, "b": 4})
    place = Workspace(Path(before.folder))
    assert changed_since(before, place, same) == []
    assert changed_since(before, place, after) == ["descriptor"]
    assert changed_since(before, place, same.replace(image="sha256:other")) == ["image"]


def test_a_task_of_a_bare_image_is_repeated_with_its_command(tmp_path: Path) -> None:
    with make_environment(
        tmp_path, lambda container: container.path("/outputs/y").write_text("5") and 0
    ) as env:
        payload = {
            "image": IMAGE,
            "command": ["x"],
            "inputs": {"a": 1},
            "outputs": {"y": "integer"},
            "env": {"E": "1"},
        }
        first = env.app.manager.create_task(payload)
        record = env.app.manager.wait(first)
        assert record is not None
        request, said = again(env, record)
        second = env.app.manager.wait(env.app.manager.submit(request))
        assert second is not None
    assert (request.command, dict(request.environment), said) == (["x"], {"E": "1"}, [])
    assert (second.inputs, second.outputs) == ({"a": 1}, {"y": 5})
