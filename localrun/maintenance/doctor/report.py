"""What a bug report needs, as Markdown: versions, checks, settings, and the latest task that failed.

Secrets are masked by their names, their form, and the values of variables that have the name of a secret. The
values of inputs and outputs, which may be private, are replaced by their types.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.maintenance.doctor.check import Check
from localrun.masking.masker import MASK
from localrun.masking.redaction import Redactor
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

_TASKS = 10  # in the list
_SEARCHED = 200  # tasks among which to find one that failed
_LINES = 40  # of the log
_EVENTS = 60
_KINDS = ("state", "step", "note", "warning")
_LOG_BYTES = 64 * 1024  # at the end of a log
_VALUES = ("inputs", "received", "outputs")
_DROPPED = ("submitted", "result", "regions", "crops")
_PREFIXES = ("LOCALRUN_", "DOCKER_", "CONTAINER_", "BUILDKIT_", "XDG_", "PYTHON", "LC_")
_NAMES = frozenset({"LANG", "TERM", "CI", "NO_COLOR", "PATH", "VIRTUAL_ENV"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def make_report(
    version: str,
    checks: Iterable[tuple[str, Check]],
    store: TaskStore,
    environ: Mapping[str, str],
) -> str:
    """Return the report. Reads the records of tasks, and never fails for one that cannot be read."""
    redactor = _redactor(environ)
    parts = [
        "# localrun report",
        "Secrets are masked, and values of inputs and outputs replaced by their types. The log of a task may "
        "still contain private data: read this before you share it.",
        "## Versions",
        _block("\n".join(_versions(version))),
        "## Checks",
        _block("\n".join(_lines(checks))),
        "## Environment",
        _block("\n".join(_environment(environ, redactor))),
        *_tasks(store, redactor),
    ]
    text = redactor.redact_text("\n\n".join(parts))
    home = environ.get("HOME", "").rstrip("/")
    return (text.replace(home, "~") if home.count("/") > 1 or home == "/root" else text) + "\n"


def _redactor(environ: Mapping[str, str]) -> Redactor:
    """Return a redactor that knows the values of all variables with the name of a secret."""
    plain = Redactor()
    return Redactor(value for name, value in environ.items() if plain.redact({name: value})[name] == MASK)


def _versions(version: str) -> Iterator[str]:
    yield f"localrun {version}"
    yield f"Python {platform.python_version()} ({platform.python_implementation()})"
    yield platform.platform()
    try:
        yield platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        yield "no /etc/os-release"


def _lines(checks: Iterable[tuple[str, Check]]) -> Iterator[str]:
    for section, check in checks:
        hint = f" (hint: {check.remedy})" if check.remedy else ""
        yield f"{section:<9} {check.status:<4} {check.name}: {check.message}{hint}"


def _environment(environ: Mapping[str, str], redactor: Redactor) -> Iterator[str]:
    shown = {
        name: value
        for name, value in sorted(environ.items())
        if name.upper().startswith((*_PREFIXES, *_PROXIES)) or name in _NAMES
    }
    yield from (f"{name}={value}" for name, value in redactor.redact(shown).items())


def _tasks(store: TaskStore, redactor: Redactor) -> Iterator[str]:
    found = [
        (workspace, record)
        for workspace in islice(store.newest_first(), _SEARCHED)
        if (record := workspace.load_or_none()) is not None
    ]
    if not found:
        return
    yield "## Latest tasks"
    yield _block(
        "\n".join(
            f"{record.short_id} {record.state} {record.cause or ''} {record.image_from}".rstrip()
            for _, record in found[:_TASKS]
        )
    )
    failed = next(((workspace, record) for workspace, record in found if record.cause), None)
    if failed is not None:
        yield f"## Latest task that failed: {failed[1].short_id}"
        yield from _details(*failed, redactor)


def _details(workspace: Workspace, record: TaskRecord, redactor: Redactor) -> Iterator[str]:
    yield _block(json.dumps(redactor.redact(_without_values(record)), indent=1, ensure_ascii=False), "json")
    events = [
        event for event in workspace.read_events() if event.kind in ("state", "step", "note", "warning")
    ]
    yield "### Events"
    yield _block("\n".join(f"{event.time:.3f} {event.kind} {event.message}" for event in events[-_EVENTS:]))
    for title, path in (("End of the log", workspace.log), ("Traceback", workspace.path / "traceback.txt")):
        lines = _tail(path)
        if lines:
            yield f"### {title}"
            yield _block("\n".join(lines))


def _without_values(record: TaskRecord) -> dict[str, Any]:
    """Return the record with the types of inputs and outputs in place of their values."""
    plain = {key: value for key, value in record.as_dict().items() if key not in _DROPPED}
    for key in _VALUES:
        plain[key] = {name: type(value).__name__ for name, value in (plain.get(key) or {}).items()}
    plan = plain.get("plan")
    if plan is not None:
        plain["plan"] = {
            **plan,
            "values": sorted(plan.get("values") or {}),
            "environment": dict.fromkeys(plan.get("environment") or {}, MASK),
        }
    return plain


def _tail(path: Path) -> list[str]:
    try:
        with fs.open_regular(path) as stream:
            stream.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return stream.read().decode("utf-8", "replace").splitlines()[-_LINES:]
    except OSError:
        return []


def _block(text: str, language: str = "text") -> str:
    """Return text as a code block that its own content cannot end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
