"""`localrun.tasks`: find tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import localrun
from localrun.errors import UsageError
from tests.api.test_task import env_of, fail, submit


def test_tasks_are_found_by_metadata_state_name_and_time(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        first = submit(env, metadata={"sample": {"id": 1}, "batch": 7})
        first.wait()
        second = submit(env, metadata={"batch": 7})
        second.wait()
        home = env.app.settings.home

        def found(**conditions: Any) -> list[localrun.Task]:
            return list(localrun.tasks(home, **conditions))

        assert first.metadata == {"sample": {"id": 1}, "batch": 7}
        assert found() == [second, first]
        assert found(metadata={"batch": 7}) == [second, first]
        assert found(metadata={"batch": 7, "sample": {"id": 1}}) == [first]
        assert found(metadata={"batch": "7"}) == []
        assert found(metadata={"batch": 7}, limit=1) == [second]
        assert found(state="FINISHED") == found(state=["finished", "FAILED"]) == [second, first]
        assert found(state="FAILED") == []
        assert found(name="Add*") == [second, first]
        assert found(name="subtract") == []
        assert found(since=second.info.created) == [second]
        assert found(since=timedelta(hours=1)) == found(since="1h") == [second, first]
        assert found(since=datetime.fromtimestamp(second.info.created)) == [second]
        second.metadata = {"batch": 8}
        assert found(metadata={"batch": 7}) == [first]


def test_a_failed_task_is_found_by_its_state(tmp_path: Path) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        task.wait()
        assert list(localrun.tasks(env.app.settings.home, state="FAILED")) == [task]


@pytest.mark.parametrize(
    "conditions",
    [{"state": "DONE"}, {"since": "yesterday"}, {"metadata": ["a"]}, {"metadata": {"a": object()}}],
)
def test_an_invalid_condition_is_refused(tmp_path: Path, conditions: dict[str, Any]) -> None:
    with env_of(tmp_path) as env, pytest.raises(UsageError):
        localrun.tasks(env.app.settings.home, **conditions)


def test_invalid_metadata_is_refused_before_a_task_is_created(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        with pytest.raises(UsageError, match="invalid options") as caught:
            submit(env, metadata={"a": object()}, retries=-1)
        assert [problem.path for problem in caught.value.problems] == ["retries", "metadata"]
        assert localrun.tasks(env.app.settings.home) == []
