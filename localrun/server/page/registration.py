"""The running servers of a folder, so that `localrun view` finds one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from localrun import fs


class RunningServer(NamedTuple):
    """A server: its URL, and the key for making a code for a browser."""

    url: str
    key: str


def _folder(home: Path) -> Path:
    return home / "servers"


@contextmanager
def registered(home: Path, url: str, key: str) -> Iterator[None]:
    """Announce a server during the block, in a file that only the user can read.

    Its lock shows that the server runs.
    """
    path = _folder(home) / f"{os.getpid()}-{url.rpartition(':')[2]}.json"
    with fs.wrap_os_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fs.try_lock(descriptor)
        os.write(descriptor, json.dumps({"url": url, "key": key, "pid": os.getpid()}).encode())
        new.rename(path)  # with its lock
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def running_servers(home: Path) -> list[RunningServer]:
    """Return the running servers of a folder, the newest first. Files of dead ones are deleted."""
    found: list[tuple[float, RunningServer]] = []
    for path in _folder(home).glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if not fs.is_locked(path):
                path.unlink(missing_ok=True)
                continue
            fields = json.loads(fs.read_regular(path))
            found.append((path.stat().st_mtime, RunningServer(str(fields["url"]), str(fields["key"]))))
    return [server for _, server in sorted(found, reverse=True)]
