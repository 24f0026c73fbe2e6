"""Fixtures for the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.fixture
def localrun(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return `localrun` on the fake engine, with its own folders."""
    monkeypatch.setenv("LOCALRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALRUN_LEDGER", str(tmp_path / "ledger" / "l.json"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # no settings and no trust of the user
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("NO_COLOR", "TERM", "COLUMNS", "LOCALRUN_HOME"):
        monkeypatch.delenv(name, raising=False)
    return Command(tmp_path, capsys)
