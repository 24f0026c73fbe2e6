"""`Task.rerun`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import localrun
from localrun.errors import InputsError, UsageError
from tests.api.test_task import env_of, fail, submit


def test_a_task_runs_again_with_its_inputs_options_and_metadata(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        first = submit(env, retries=2, timeout=50, metadata={"sample": "A1"})
        first.wait()
        again = first.rerun()
        assert again.wait() == "FINISHED"
        assert again != first
        assert again.outputs == {"sum": 7}
        info = again.info
        assert (info.rerun_of, info.run_plan.retries, info.timeout) == (first.id, 2, 50.0)
        assert info.run_plan.detached
        assert again.metadata == {"sample": "A1"}


def test_what_is_given_replaces_what_was(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        first = submit(env, retries=2, metadata={"sample": "A1", "try": 1})
        first.wait()
        again = first.rerun(b=10, retries=0, cpus=0.5, timeout="2m", metadata={"try": 2})
        again.wait()
        assert again.outputs == {"sum": 13}
        info = again.info
        assert (info.run_plan.retries, info.resources.cpus, info.timeout) == (0, 0.5, 120.0)
        assert again.metadata == {"sample": "A1", "try": 2}
        assert again.rerun(inputs={"a": 1}).wait() == "FINISHED"


def test_inputs_of_a_file_replace_some(tmp_path: Path) -> None:
    (tmp_path / "values.json").write_text(json.dumps({"a": 30}))
    with env_of(tmp_path) as env:
        first = submit(env)
        first.wait()
        again = first.rerun(inputs=tmp_path / "values.json")
        again.wait()
        assert again.outputs == {"sum": 34}


def test_failed_tasks_are_found_and_run_again(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        submit(env).wait()
        again = [task.rerun() for task in localrun.tasks(env.app.settings.home, state="FAILED")]
        assert localrun.wait_all(again) == ["FAILED"]


def test_invalid_changes_are_refused_and_create_nothing(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        first = submit(env)
        first.wait()
        with pytest.raises(UsageError) as caught:
            first.rerun(retries=-1, metadata={"x": object()})
        assert [problem.path for problem in caught.value.problems] == ["retries", "metadata"]
        with pytest.raises(InputsError, match="invalid inputs"):
            first.rerun(a="x")
        assert localrun.tasks(env.app.settings.home) == [first]


def test_a_changed_file_is_a_warning(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        first = submit(env)
        first.wait()
        env.bundle.unlink()
        with pytest.warns(UserWarning, match="is gone: using the image and the descriptor"):
            first.rerun().wait()
