"""The reaper process: it outlives a test session that died, and stops its tasks.

The thread method of pytest-timeout, a crash and SIGKILL leave no time to clean up. The reaper reads task
folders from standard input and stops their tasks when that closes, which the kernel guarantees.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import Any


def main(lines: Iterable[str]) -> None:
    """Read task folders until end of file, then stop the active tasks of all that were not forgotten."""
    watched: dict[str, dict[str, Any]] = {}
    for line in lines:
        message = json.loads(line)
        if message["forget"]:
            watched.pop(message["home"], None)
        else:
            watched[message["home"]] = message
    for message in watched.values():
        stop(message["home"], message["docker_host"])


def stop(home: str, docker_host: str | None) -> None:
    """Stop every active task of a folder whose process is dead, and remove their containers."""
    from localrun import settings
    from localrun.app import App
    from localrun.errors import LocalrunError

    app = App(settings.load(os.environ, home=home, docker_host=docker_host, grace=1.0))
    for task_id in app.store.active_ids():
        try:
            app.kill(task_id)
        except (LocalrunError, OSError) as error:  # continue with the other tasks
            sys.stderr.write(f"localrun: {error}\n")
    app.close()


if __name__ == "__main__":
    main(sys.stdin)
