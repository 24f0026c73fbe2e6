"""Programs with scripted output, files, delays and exits."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localrun.copying import copy_file, copy_tree
from localrun.engines.base import Exit
from localrun.engines.fake.container import FakeContainer, Program


@dataclass(frozen=True)
class Scripted:
    """One scripted run: it writes its output and files, and exits after `seconds` or when it is stopped.

    `files` maps paths in the container to contents; None removes the file. `outputs` maps names of outputs to
    values, written as a task writes them: bytes and the content of a `Path` unchanged, a dict as JSON, a list
    as an array's folder, other values as text; None removes the output.
    """

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    oom_killed: bool = False
    error: str = ""

    def __call__(self, container: FakeContainer) -> Exit:
        """Run the script in a container."""
        container.stdout.write(self.stdout)
        container.stderr.write(self.stderr)
        for name, content in self.files.items():
            write_file(container.path(name), content)
        for name, value in self.outputs.items():
            _write_value(container.path(f"{container.output_folder}/{name}"), value)
        if self.seconds and container.stopped.wait(self.seconds):
            return Exit(128 + 15)
        return Exit(self.exit_code, self.oom_killed, self.error)


def write_file(path: Path, content: str | bytes | None) -> None:
    """Write a file and create its parent folders; None removes it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _write_value(path: Path, value: Any) -> None:
    if isinstance(value, (list, tuple)):
        write_file(path / "array.yml", f"size: {len(value)}")
        for index, item in enumerate(value):
            _write_value(path / str(index), item)
    elif isinstance(value, Path):
        write_file(path, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        if value.is_dir():
            path.mkdir()
            copy_tree(value, path)
        else:
            copy_file(value.resolve(), path)
    else:
        write_file(path, _content(value))


def _content(value: Any) -> str | bytes | None:
    if value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, Mapping) else str(value)


class Script:
    """A program that runs its parts in order, separately for each image, and repeats the last one."""

    def __init__(self, parts: Mapping[str, Sequence[Program]]) -> None:
        self._parts = {image: list(programs) for image, programs in parts.items()}
        self._lock = threading.Lock()

    def __call__(self, container: FakeContainer) -> int | Exit | None:
        """Run the next part for the container's image."""
        names = (container.spec.image, container.image.id, *container.image.tags, "*")
        with self._lock:
            left: list[Program] = next((self._parts[name] for name in names if name in self._parts), [])
            program = (left.pop(0) if len(left) > 1 else left[0]) if left else None
        return program(container) if program else 0
