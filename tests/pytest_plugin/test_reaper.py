"""The reaper process. That it stops the tasks of a dead session is tested on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.fake import FakeEngine
from localrun.pytest_plugin import reaper
from localrun.pytest_plugin.reaper_client import ReaperClient
from localrun.settings import Settings


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


def test_it_uses_the_engine_of_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Settings] = []

    class Spy(App):
        def __init__(self, settings: Settings) -> None:
            made.append(settings)
            super().__init__(settings)

    monkeypatch.setattr("localrun.app.App", Spy)
    monkeypatch.setenv("DOCKER_HOST", "")
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    reaper.stop(str(tmp_path / "none"), None)
    reaper.stop(str(tmp_path / "none"), "tcp://box:1")
    assert [(each.docker_host, each.docker_context) for each in made] == [
        (None, "lab"),
        ("tcp://box:1", None),
    ]
    assert made[0].docker_cert_path == tmp_path
