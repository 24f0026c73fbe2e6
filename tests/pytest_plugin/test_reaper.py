"""The reaper process. That it stops the tasks of a dead session is tested on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.engines.fake import FakeEngine
from localrun.pytest_plugin import reaper
from localrun.pytest_plugin.reaper_client import ReaperClient


def told(home: str, *, forget: bool = False) -> str:
    return json.dumps({"home": home, "docker_host": None, "forget": forget})


def test_only_folders_that_were_not_cleared_up_are_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[tuple[str, str | None]] = []
    monkeypatch.setattr(reaper, "stop", lambda *of: stopped.append(of))
    reaper.main([told("/a"), told("/b"), told("/a", forget=True), told("/c")])
    assert stopped == [("/b", None), ("/c", None)]


def test_a_missing_folder_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("localrun.engines.dockerd.DockerEngine", lambda _: engine)
    reaper.stop(str(tmp_path / "none"), None)
    engine.close()


def test_it_ends_with_the_session() -> None:
    made = ReaperClient()
    made.watch(Path("/nowhere"), None)
    made.forget(Path("/nowhere"))
    made.close()
    made.close()


def test_tests_continue_when_it_is_killed() -> None:
    made = ReaperClient()
    made._process.kill()
    made._process.wait()
    made.watch(Path("/nowhere"), None)
    made.forget(Path("/nowhere"))
    made.close()
