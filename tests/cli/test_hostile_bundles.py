"""Commands that read a bundle can be interrupted while they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bombs import slow_bundle

_MAIN = """
import os, signal, sys, threading
from localrun import cli
from localrun.bundle.images import tar_reader

class Reader(tar_reader.TarReader):
    def __iter__(self):
        os.write(2, b"reading\\n")
        return super().__iter__()

tar_reader.TarReader = Reader
import localrun.bundle.images.archive_index as index
index.TarReader = Reader
sys.exit(cli.main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["inspect", "validate", "run"])
def test_a_signal_ends_a_command_that_reads_a_slow_bundle(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    folder = slow_bundle(tmp_path / "slow")
    environ = {
        **os.environ,
        "LOCALRUN_HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    arguments = [sys.executable, "-c", _MAIN, command, str(folder)]
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"reading" in next(iter(process.stderr.readline, b""))
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode in (130, -number), (output, errors)
    assert b"zeros" not in output + errors  # the work was not finished
    assert b"Traceback" not in errors
