"""The user of a view who runs an engine and the tests: root, or an ordinary user who exists only there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAME = "tester"
UID = 54322  # not that of the tests' other user
SUBORDINATE = "231072:65536"  # the first user id inside of containers, and how many


@dataclass(frozen=True)
class User:
    """A user, the prefix of commands in their name, and what their environment has."""

    prefix: tuple[str, ...]
    home: Path
    runtime: Path

    def environment(self) -> dict[str, str]:
        own = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime)}
        # an ordinary user cannot write to the files of tests of root
        return own | ({"TMPDIR": str(self.home)} if self.prefix else {})


def root(folder: Path) -> User:
    runtime = Path("/run/user/0")
    runtime.mkdir(parents=True, mode=0o700)
    return User((), _home(folder, 0), runtime)


def ordinary(folder: Path) -> User:
    """Create the user with subordinate ids in /etc, which belongs to the view."""
    for name, line in {
        "passwd": f"{NAME}:x:{UID}:{UID}::{folder}/home:/bin/sh",
        "group": f"{NAME}:x:{UID}:",
        "subuid": f"{NAME}:{SUBORDINATE}",
        "subgid": f"{NAME}:{SUBORDINATE}",
    }.items():
        with Path("/etc", name).open("a") as stream:
            stream.write(f"{line}\n")
    runtime = Path(f"/run/user/{UID}")
    runtime.mkdir(parents=True, mode=0o700)
    os.chown(runtime, UID, UID)
    setpriv = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--")
    return User(setpriv, _home(folder, UID), runtime)


def _home(folder: Path, uid: int) -> Path:
    home = folder / "home"
    home.mkdir(mode=0o755)
    os.chown(home, uid, uid)
    return home
