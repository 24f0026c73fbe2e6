"""The start of the supervisor."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from localrun.manager import supervisor_process
from localrun.settings.model import Defaults, LoadedSettings


def test_the_token_of_a_server_is_not_in_the_list_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: Any) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    defaults = Defaults(server={"token": "hunter22hunter22"}, run={"timeout": 3.0})
    settings = LoadedSettings(home=tmp_path, cache=tmp_path, grace=3.0, defaults=defaults)
    assert supervisor_process.start(settings)
    (command,) = started
    assert not any("hunter22" in word for word in command)
    assert supervisor_process.decode_settings(command[-1]).grace == 3
