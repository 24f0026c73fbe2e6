"""A process that outlives the tests' own: it stops the tasks of a test session that died.

pytest-timeout's thread method, a crash and SIGKILL leave no time to clear up. This process reads folders of
tasks from its standard input, and gets to work when that closes, which the kernel sees to.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any


def main(lines: Iterable[str]) -> None:
    """Read folders until the end, then stop what is active in those that were not forgotten."""
    watched: dict[str, dict[str, Any]] = {}
    for line in lines:
        told = json.loads(line)
        if told["forget"]:
            watched.pop(told["home"], None)
        else:
            watched[told["home"]] = told
    for told in watched.values():
        stop(told["home"], told["docker_host"])


def stop(home: str, docker_host: str | None) -> None:
    """End every active task of a folder, whose carrier is dead, and remove their containers."""
    from pathlib import Path

    from localrun.app import App
    from localrun.errors import LocalrunError
    from localrun.settings import Settings

    app = App(Settings(home=Path(home), docker_host=docker_host, grace=1.0))
    for task_id in app.store.active_ids():
        try:
            app.kill(task_id)
        except (LocalrunError, OSError) as error:  # the others have to end all the same
            sys.stderr.write(f"localrun: {error}\n")
    app.close()


if __name__ == "__main__":
    main(sys.stdin)
