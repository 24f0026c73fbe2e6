"""Generate the reference in docs/reference from the program.

With `--check` nothing is written, and the exit code is 1 if a page is out of date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from localrun.task import record_schema

from chapters import app_engine, causes, commands, descriptor, http, python, settings

FOLDER = Path(__file__).parent / "reference"
CHAPTERS = {
    "commands.md": commands.page,
    "http.md": http.page,
    "app-engine.md": app_engine.page,
    "python.md": python.page,
    "settings.md": settings.page,
    "causes.md": causes.page,
    "descriptor.md": descriptor.page,
}


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    record = json.dumps(record_schema.schema(), indent=2) + "\n"
    return {**{name: make().text for name, make in CHAPTERS.items()}, "task-record.schema.json": record}


def main(arguments: list[str]) -> int:
    """Write or check the pages and return the exit code."""
    made = pages()
    there = {path.name: path.read_text() for path in FOLDER.iterdir()}
    other = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
    if "--check" in arguments:
        for name in other:
            print(f"docs/reference/{name} is out of date: run `make reference`")
        return 1 if other else 0
    FOLDER.mkdir(exist_ok=True)
    for name in other:
        if name in made:
            (FOLDER / name).write_text(made[name])
        else:
            (FOLDER / name).unlink()
        print(f"docs/reference/{name} {'written' if name in made else 'removed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
