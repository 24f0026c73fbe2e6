"""The fixture `localrun`, and the options that a project can override."""

from __future__ import annotations

import json

import pytest

from localrun import api
from localrun.pytest_plugin import task_runner


def test_a_bundle_is_run_with_values_and_gives_its_outputs(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_sum(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 7}, stdout="adding")
            assert localrun(a=3, b=4) == {"sum": 7}
            assert (localrun.last.status, localrun.last.logs()) == ("FINISHED", "adding")
            assert [task.id for task in localrun.tasks] == [localrun.last.id]
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_a_task_that_fails_shows_its_cause_its_remedy_and_its_last_lines(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_sum(fake_engine, localrun):
            fake_engine.plan(stdout="counted 3 cells\\x1b]0;title\\x07")
            localrun(a=3, b=4)
        """
    )
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *TaskEnded: FAILED (OUTPUTS_INVALID): invalid outputs (1 problem)",
            "E *hint: fix the problems listed*",
            "E *outputs.sum: missing output; write 'sum' to the output folder",
            "E *last lines of its log:",
            "E *counted 3 cells?x1b?0;title?x07",
            "E *see also: localrun --home */localrun status *",
        ]
    )
    # Then the line of the test is shown, and none of localrun's own
    result.stdout.no_fnmatch_line("*bench.py:*")


def test_the_error_is_a_task_failed(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest
        import localrun as package

        def test_failure(fake_engine, localrun):
            fake_engine.plan(exit_code=3)
            with pytest.raises(package.TaskFailed) as raised:
                localrun(a=3, b=4)
            assert raised.value.record.exit_code == 3
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_wrong_values_are_reported_before_anything_runs(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_values(fake_engine, localrun):
            try:
                localrun(a="three")
            finally:
                assert fake_engine.runs == ()
        """
    )
    result = project.runpytest()
    result.stdout.fnmatch_lines(
        ["E *InputsError: invalid inputs (2 problems)", "E *inputs.a: expected an integer, got 'three'*"]
    )


def test_a_session_may_use_only_the_fake_engine(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        def test_plain(localrun):
            localrun.submit(a=3, b=4)
            assert localrun.last.wait() == "FAILED"

        @pytest.mark.localrun
        def test_real(localrun):
            pass
        """
    )
    result = project.runpytest("--localrun-engine", "fake", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*needs a container engine, and --localrun-engine is fake*"])


def test_what_still_runs_is_stopped_at_the_end_of_the_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def localrun_settings():
            return {"grace": 0}

        @pytest.fixture(scope="session")
        def localrun_keep():
            return "always"

        def test_long(fake_engine, localrun):
            fake_engine.plan(seconds=100)
            localrun.submit(a=3, b=4).wait_for("RUNNING")
        """
    )
    project.runpytest("--basetemp", str(project.path / "t")).assert_outcomes(passed=1)
    (record,) = (project.path / "t").glob("test_long0/localrun/tasks/*/task.json")
    assert json.loads(record.read_text())["state"] == "KILLED"


def test_every_option_can_be_set_by_a_fixture(project: pytest.Pytester) -> None:
    # Given a project that sets every option
    project.makeconftest(
        """
        import pytest
        from pathlib import Path
        from localrun.engines.fake import FakeEngine, Scripted

        @pytest.fixture(scope="session")
        def localrun_bundle_path(tmp_path_factory, pytestconfig):
            folder = tmp_path_factory.mktemp("bundle")
            (folder / "descriptor.yml").write_text((pytestconfig.rootpath / "descriptor.yml").read_text())
            (folder / "Dockerfile").write_text("FROM nothing")
            return folder

        @pytest.fixture
        def localrun_engine():
            engine = FakeEngine(Scripted(outputs={"sum": 1}))
            yield engine
            engine.close()

        @pytest.fixture
        def localrun_folder(tmp_path):
            return tmp_path / "elsewhere"

        @pytest.fixture(scope="session")
        def localrun_limits():
            return {"memory": "1Gi", "cpus": 2}

        @pytest.fixture(scope="session")
        def localrun_timeout():
            return 30

        @pytest.fixture(scope="session")
        def localrun_build_args():
            return {"BASE": "x"}
        """
    )
    project.makepyfile(
        """
        def test_decisions(localrun, localrun_bundle_path, tmp_path):
            localrun(a=1, b=1)
            record = localrun.last.info
            assert record.bundle == str(localrun_bundle_path)
            assert record.folder.startswith(str(tmp_path / "elsewhere"))
            assert (record.resources.memory, record.resources.cpus, record.timeout) == (1024**3, 2, 30)
            assert record.plan.build_args == {"BASE": "x"}
            localrun(a=1, b=1, timeout="5s")
            assert localrun.last.info.timeout == 5
        """
    )
    # Then flags change nothing about them
    result = project.runpytest("--localrun-timeout", "7s", "--localrun-limit", "cpus=1")
    result.assert_outcomes(passed=1)


def test_the_marker_gives_options_to_one_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.localrun(timeout="5s", memory="64Mi")
        def test_marked(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 1})
            localrun(a=1, b=1)
            assert (localrun.last.info.timeout, localrun.last.info.resources.memory) == (5, 64 * 1024**2)

        @pytest.mark.localrun(memmory="64Mi")
        def test_misspelt(fake_engine, localrun):
            pass
        """
    )
    result = project.runpytest("--localrun-timeout", "7s")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*unknown option 'memmory'; did you mean 'memory'?"])


def test_two_tests_have_separate_folders_and_a_task_manager_begins_empty(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", [1, 2])
        def test_empty(fake_engine, task_manager, localrun, number):
            fake_engine.plan(outputs={"sum": 1})
            assert task_manager.get_status()["total_tasks_processed"] == 0
            localrun(a=1, b=1)
            assert task_manager.get_status()["completed_tasks_count"] == 1
        """
    )
    project.runpytest("--basetemp", str(project.path / "t")).assert_outcomes(passed=2)

    # Then nothing of them is left
    assert list((project.path / "t").rglob("task.json")) == []
    assert list((project.path / "t").rglob("localrun")) == []


def test_a_live_server_is_asked_by_its_client(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        def test_server(fake_engine, localrun_server):
            fake_engine.plan(outputs={"sum": 7})
            client = localrun_server.client
            task = {"bundle": ".", "inputs": {"a": 3, "b": 4}}
            made = client.post("/task", {"task": task, "assigned_by": "me"})
            assert made.status == 200, made.text
            task_id = made.json()["task_id"]
            found = client.get(f"/task/{task_id}/wait", timeout=60).json()
            assert found["task"]["outputs"] == {"sum": 7}
            assert client.get("/task/none").status == 404
            assert client.put("/task/none/inputs/x", body=b"1").status == 404
            assert localrun_server.url == client.url
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_a_server_may_ask_for_a_token(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import urllib.error, urllib.request
        import pytest

        @pytest.fixture(scope="session")
        def localrun_server_options():
            return {"token": "a long secret"}

        def test_token(fake_engine, localrun_server):
            assert localrun_server.client.get("/task/list").status == 200
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(localrun_server.url + "/task/list")
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_a_fake_engine_runs_its_plans_in_order_and_repeats_the_last(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest, time
        from localrun import TaskFailed

        def test_retry(fake_engine, localrun):
            fake_engine.plan(exit_code=1, stderr="not yet")
            fake_engine.plan(exit_code=137, oom_killed=True)
            fake_engine.plan(lambda container: container.path("/outputs/sum").write_text("5") and 0)
            causes = []
            for number in range(2):
                with pytest.raises(TaskFailed) as raised:
                    localrun(a=number, b=4)
                causes.append(str(raised.value.cause))
            assert causes == ["EXIT_NONZERO", "OUT_OF_MEMORY"]
            assert localrun(a=2, b=4) == localrun(a=3, b=4) == {"sum": 5}
            assert [run.read("a") for run in fake_engine.runs] == ["0", "1", "2", "3"]
            assert fake_engine.runs[3].task_id == localrun.last.id

        def test_delay(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 5}, seconds=0.2)
            begun = time.monotonic()
            localrun(a=2, b=3)
            assert time.monotonic() - begun >= 0.2

        def test_nothing_is_planned(fake_engine, localrun):
            assert localrun.submit(a=2, b=3).wait() == "FAILED"
        """
    )
    project.runpytest().assert_outcomes(passed=3)


def test_without_a_bundle_the_ways_to_set_one_are_reported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_none(fake_engine, localrun): localrun()")
    result = pytester.runpytest()
    result.stdout.fnmatch_lines(["*no descriptor.yml found in *localrun_bundle*localrun_bundle_path*"])


def test_a_test_may_have_its_own_bundle(project: pytest.Pytester) -> None:
    (project.path / "tests").mkdir()
    (project.path / "descriptor.yml").rename(project.path / "tests" / "task.yml")
    project.makepyfile(
        """
        def test_own(fake_engine, localrun):
            fake_engine.plan(outputs={"sum": 7})
            assert localrun("tests/task.yml", a=3, b=4, use_image="any") == {"sum": 7}
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_no_task_yet_is_reported(project: pytest.Pytester) -> None:
    project.makepyfile("def test_none(fake_engine, localrun): localrun.last")
    project.runpytest().stdout.fnmatch_lines(["*no task was submitted yet*"])


def test_outputs_can_be_compared_in_a_test(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import json

        def test_compare(fake_engine, localrun, tmp_path):
            fake_engine.plan(outputs={"sum": 8})
            localrun(a=3, b=4)
            assert localrun.compare({"sum": 8}) == []
            assert localrun.compare({"sum": 7}, {"sum": 1}) == []
            assert [one.path for one in localrun.compare({"sum": 7})] == ["outputs.sum"]
            (tmp_path / "expected.json").write_text(json.dumps({"sum": 8}))
            assert localrun.compare(tmp_path / "expected.json") == []
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_the_options_of_the_marker_are_those_of_submit() -> None:
    assert {"timeout", "memory", "cpus", "network", "build_args"} <= task_runner.TASK_OPTIONS
    assert not {"inputs", "home", "bundle"} & task_runner.TASK_OPTIONS
    assert set(api.submit.__kwdefaults__ or {}) >= task_runner.TASK_OPTIONS
