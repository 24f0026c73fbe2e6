"""`localrun status`: show a task's state and why it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import as_system, options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_lines
from localrun.console.regions import region_rows
from localrun.console.results import value_text
from localrun.console.streams import print_json, print_out
from localrun.console.usage import format_resources, format_usage
from localrun.errors import Problem
from localrun.task import metadata
from localrun.units import format_bytes, format_duration

if TYPE_CHECKING:
    from localrun.task.record import TaskRecord


@click.command()
@options.task_id
@as_system.as_system
@options.as_json
@pass_context
def command(context: CliContext, task_id: str, system: str | None, *, as_json: bool) -> None:
    """Show the state and resources of the task ID and why it ended.

    ID is any unique prefix of an ID, or `last`.
    """
    from localrun.runner.usage import with_current_usage

    with context.app() as app:
        record = with_current_usage(*app.find(task_id))
    if as_json:
        print_json(status_fields(record) | as_system.as_fields(record, system))
        return
    for name, value in _rows(record, system):
        print_out(f"{name:<12}" + escape_lines(value).replace("\n", "\n" + " " * 12))


def status_fields(record: TaskRecord) -> dict[str, Any]:
    """Return the record of `run` and the fields of an active task."""
    from localrun.console import ownership
    from localrun.console.results import as_fields

    plain = record.as_dict()
    more = {key: plain[key] for key in ("step", "resources", "container", "network", "timeout")}
    times = {"created": record.created or None, "ended": record.ended}
    inputs = {"missing": record.missing, "received": record.received} if record.missing else {}
    return {**as_fields(record), **more, **inputs, **times, **ownership.as_fields(record)}


def _rows(record: TaskRecord, system: str | None) -> Iterator[tuple[str, str]]:
    yield "id", record.id
    yield "name", record.name
    yield "bundle", record.bundle
    if system is not None:
        yield from as_system.status_rows(record, system)
    yield "state", str(record.state) + (f" in the step {record.step}" if record.step else "")
    yield from _owner_rows(record)
    yield from _cause_rows(record)
    yield from _replicas(record)
    took = record.seconds_until(time.time())
    yield "time", f"{'took' if record.ended else 'for'} {format_duration(took)}"
    history = record.history if system is None else as_system.history(record, system)
    for name, since in history:
        yield "", f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))} {name}"
    yield from _steps(record)
    for index, row in enumerate(record.source_rows):
        yield "" if index else "inputs", row
    for index, row in enumerate(region_rows(record)):
        yield "" if index else "regions", row
    yield "resources", _resources(record)
    if used := format_usage(record):
        yield "usage", used
    if record.image_name or record.image:
        yield "image", " ".join(filter(None, (record.image_name, record.image, record.platform)))
    for index, (key, value) in enumerate(metadata.of(record).items()):
        yield "" if index else "metadata", f"{key} = {value_text(value)}"
    if record.node:
        yield "node", record.node
    if record.container and not record.state.is_final:
        yield "container", record.container
    yield "folder", record.folder


def _owner_rows(record: TaskRecord) -> Iterator[tuple[str, str]]:
    from localrun.console import ownership

    if hint := ownership.orphan_hint(record):
        yield "", hint
    if owner := ownership.owner_text(record):
        yield "process", owner


def _cause_rows(record: TaskRecord) -> Iterator[tuple[str, str]]:
    if record.message and not record.state.is_final:
        yield "waiting", record.message
    if record.waiting_for:
        yield "waiting", f"for {record.waiting_for}"
        yield from _received(record)
    if record.cause:
        yield "cause", record.cause
        yield "message", record.message
    for problem in record.problems:
        yield "", f"- {Problem.from_dict(problem)}".replace("\n", "\n  ")
    if record.remedy:
        yield "hint", record.remedy
    for warning in record.warnings:
        yield "warning", warning


def _received(record: TaskRecord) -> Iterator[tuple[str, str]]:
    for index, (name, value) in enumerate(record.received.items()):
        yield "" if index else "received", f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"file", "size"}:
        return f"{value['file']} ({format_bytes(value['size'])})"
    return json.dumps(value, ensure_ascii=False)


def _replicas(record: TaskRecord) -> Iterator[tuple[str, str]]:
    from localrun.console.replicas import facts

    for index, (label, text) in enumerate(facts(record)):
        yield "" if index else label, text if not index else f"{label}: {text}"


def _steps(record: TaskRecord) -> Iterator[tuple[str, str]]:
    for step in record.steps:
        details = [
            "" if step.seconds is None else format_duration(step.seconds),
            "" if step.exit_code is None else f"exit code {step.exit_code}",
            step.how,
            step.message,
        ]
        label = "" if step is not record.steps[0] else "steps"
        yield label, f"{step.name}: {'; '.join(filter(None, details)) or 'running'}"


def _resources(record: TaskRecord) -> str:
    network = "network" if record.network else "no network"
    limit = f", at most {format_duration(record.timeout)}" if record.timeout else ""
    devices = f" ({', '.join(record.gpu_devices)})" if record.gpu_devices else ""
    return f"{format_resources(record.resources)}{devices}, {network}{limit}"
