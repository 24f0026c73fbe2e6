"""The process that stops the tasks of a session that died; that it does is shown on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.engines.fake import FakeEngine
from localrun.pytest_plugin import reaper
from localrun.pytest_plugin.reaper_client import ReaperClient


def told(home: str, *, forget: bool = False) -> str:
    return json.dumps({"home": home, "docker_host": None, "forget": forget})


def test_only_folders_that_were_not_cleared_up_are_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[tuple[str, str | None]] = []
    monkeypatch.setattr(reaper, "stop", lambda *of: stopped.append(of))
    reaper.main([told("/a"), told("/b"), told("/a", forget=True), told("/c")])
    assert stopped == [("/b", None), ("/c", None)]


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("localrun.engines.dockerd.DockerEngine", lambda _: engine)
    reaper.stop(str(tmp_path / "none"), None)
    engine.close()


def test_it_ends_with_the_session_and_is_not_waited_for_in_vain() -> None:
    made = ReaperClient()
    made.watch(Path("/nowhere"), None)
    made.forget(Path("/nowhere"))
    made.close()
    made.close()


def test_tests_go_on_when_somebody_ends_it() -> None:
    made = ReaperClient()
    made._process.kill()
    made._process.wait()
    made.watch(Path("/nowhere"), None)
    made.forget(Path("/nowhere"))
    made.close()
