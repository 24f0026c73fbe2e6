"""The apps behind task handles, and the exit of a script."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import localrun
from localrun.api.apps import PendingStarts, app_for, pending_starts_of
from localrun.engines.fake import FakeContainer
from localrun.task.events import Event
from tests.api.test_task import env_of, hang, submit
from tests.support.environment import make_environment


def state(word: str) -> Event:
    return Event("state", "1", word, {"state": word})


def test_a_folder_has_one_app_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALRUN_HOME", str(tmp_path / "home"))
    assert app_for() is app_for(tmp_path / "home") is app_for(str(tmp_path / "home"))
    assert app_for() is not app_for(tmp_path / "other")


def test_a_forked_process_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = app_for(tmp_path)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert app_for(tmp_path) is not mine


def test_a_custom_app_serves_its_folder_within_the_context(tmp_path: Path) -> None:
    with make_environment(tmp_path) as env:
        before = app_for(env.app.settings.home)
        with localrun.using(env.app):
            assert app_for(env.app.settings.home) is env.app
        assert app_for(env.app.settings.home) is before


@pytest.mark.parametrize("words", [["RUNNING"], ["QUEUING", "FAILED"], ["KILLED"]])
def test_a_task_needs_the_process_until_its_container_runs_or_it_ends(words: list[str]) -> None:
    starts = PendingStarts()
    starts.on_event(state("PROVISIONED"))
    for word in words[:-1]:
        starts.on_event(state(word))
        assert not starts.wait(0)
    starts.on_event(state(words[-1]))
    assert starts.wait(0)


def test_a_queued_task_is_saved_and_needs_no_process() -> None:
    starts = PendingStarts()
    starts.on_event(state("PROVISIONED"))
    starts.on_event(Event("note", "1", "another thing"))
    assert not starts.wait(0)
    starts.on_event(Event("note", "1", "not enough memory", {"waiting": True}))
    assert starts.wait(0)


def test_the_wait_for_a_container_that_does_not_start_is_short() -> None:
    starts = PendingStarts()
    starts.on_event(state("PROVISIONED"))
    assert not starts.wait(0.05)


def test_a_submitted_task_is_waited_for_until_its_container_runs(tmp_path: Path) -> None:
    started = threading.Event()

    def program(container: FakeContainer) -> int:
        started.set()
        return hang(container)

    with env_of(tmp_path, program) as env:
        task = submit(env)
        assert pending_starts_of(env.app).wait(60)
        assert started.wait(60)
        task.kill()
