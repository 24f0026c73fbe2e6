"""The start of the supervisor, as a process that no terminal and no other process can take down."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from localrun.settings import Settings
from localrun.settings.model import FIELDS
from localrun.task import supervision

_PACKAGES = Path(__file__).parents[2]  # the folder with the package
_CODE = (
    "import sys; sys.path.insert(0, sys.argv[1]); from localrun.supervisor import main; main(sys.argv[2:])"
)
# The shell ends at once, so that the supervisor is a child of the system and never a zombie of this process.
_SHELL = ("/bin/sh", "-c", '"$@" &', "sh")


def start(settings: Settings) -> bool:
    """Start the supervisor of a folder unless it runs; return whether one runs now. Never raises.

    The lock is taken here and inherited, so that no second supervisor is started in the meantime. Takes some
    milliseconds: the supervisor itself starts in the background.
    """
    try:
        descriptor = supervision.acquire(settings.home)
        if descriptor is None:
            return True
        try:
            return _spawn(settings, descriptor)
        finally:
            os.close(descriptor)
    except OSError:  # the folder is not writable, or there are too many processes
        return False


def _spawn(settings: Settings, descriptor: int) -> bool:
    import subprocess

    ledger = settings.ledger and settings.ledger.absolute()
    # without the options of tasks and servers: a secret must not be in the list of processes
    own = Settings(**{name: getattr(settings, name) for name in FIELDS if name != "ledger"}, ledger=ledger)
    given = msgspec.json.encode(own, enc_hook=str).decode()
    program = [sys.executable, "-P", "-c", _CODE, str(_PACKAGES), str(descriptor), given]
    with (settings.home / supervision.LOG).open("ab") as log:
        process = subprocess.Popen(
            [*_SHELL, *program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd="/",  # so that no file system is kept busy
            start_new_session=True,  # no hangup, no Ctrl+C
            pass_fds=(descriptor,),
        )
    return process.wait() == 0


def decode_settings(text: str) -> Settings:
    """Return the settings that `start` has passed."""
    return msgspec.json.decode(text, type=Settings, dec_hook=lambda type_, value: type_(value))
