"""The types of options, which mypy checks: an unused `type: ignore` here is an error of mypy."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import localrun
from localrun.api.task import Task
from localrun.task.states import TaskState

if TYPE_CHECKING:

    def calls(task: Task) -> None:
        assert_type(localrun.run("bundle", a=3, timeout="10m"), dict[str, Any])
        assert_type(localrun.submit(Path("bundle"), inputs={"a": 3}, cpus=0.5), Task)
        assert_type(task.rerun(b=10, memory="2Gi"), Task)
        assert_type(task.wait(), TaskState)
        assert_type(task.is_running(), bool)
        is_running: bool = task.is_running
        assert is_running == task.is_failed
        assert_type(task.metadata, Mapping[str, Any])
        localrun.run("bundle", timeout=["10m"])  # type: ignore[arg-type]
        localrun.run("bundle", retries="2")  # type: ignore[arg-type]
        localrun.run("bundle", pull="sometimes")  # type: ignore[arg-type]
        localrun.run(3)  # type: ignore[arg-type]
        localrun.submit("bundle", network="yes")  # type: ignore[arg-type]
        localrun.submit("bundle", metadata=["a"])  # type: ignore[arg-type]
        task.rerun(replicas="3")  # type: ignore[arg-type]
        localrun.tasks(limit="3")  # type: ignore[arg-type]
        localrun.Nothing()  # type: ignore[attr-defined]


def test_run_shows_the_parameters_of_submit() -> None:
    run, submit = inspect.signature(localrun.run), inspect.signature(localrun.submit)
    assert run.parameters == submit.parameters
    assert (run.return_annotation, submit.return_annotation) == ("dict[str, Any]", "Task")


def test_a_rerun_takes_the_options_of_submit() -> None:
    rerun, submit = (set(inspect.signature(call).parameters) for call in (Task.rerun, localrun.submit))
    assert rerun - submit == {"self", "same_image"}
    assert submit - rerun == {"bundle", "profile", "home"}
