"""`localrun top`: what running tasks use just now."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.watch import print_or_watch
from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.streams import is_terminal, print_err
from localrun.errors import ContainerGone, EngineError
from localrun.task.record import short_id
from localrun.task.states import TaskState
from localrun.units import format_bytes, format_duration

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.engines.base import Engine, Usage
    from localrun.task.record import TaskRecord

_EVERY = 1.0  # seconds: an engine does not measure more often
_PATIENCE = 5.0  # seconds for the second sample, without which there is no speed
_HEADS = (
    *("ID", "NAME", "STATE", "CPU %", "MEMORY", "LIMIT", "MEM %", "PEAK"),
    *("READ", "WRITTEN", "PIDS", "TIME"),
)


@click.command()
@options.task_ids
@click.option("--no-stream", is_flag=True, help="Show it once, as where there is no terminal.")
@options.as_json
@pass_context
def command(context: CliContext, task_ids: tuple[str, ...], *, no_stream: bool, as_json: bool) -> None:
    """Show processor, memory and disk that the tasks ID..., or all that run, use just now, and go on.

    100 % is one processor. PEAK is the most memory that was seen; of an ended task it is what remains. The
    disk's bytes are those of the container; what is still in the memory for it counts later.
    """
    with context.app(on_exit="leave") as app, _Board(app, task_ids).reading() as board:
        if as_json or no_stream or not is_terminal(sys.stdout, context.environ):
            board.await_speeds()
            _print_once(board, context, as_json=as_json)
        else:
            print_or_watch(board.look, _EVERY, context.environ)


def _print_once(board: _Board, context: CliContext, *, as_json: bool) -> None:
    if as_json:
        from localrun.console.results import print_json

        print_json(board.rows())
    elif board.rows():
        print_or_watch(board.look, None, context.environ)
    else:
        print_err("no task runs here")
    for trouble in board.troubles():
        print_err(f"warning: {trouble}")


class _Gauge:
    """Reads what one container uses, in a thread of its own."""

    def __init__(self, engine: Engine, handle: str) -> None:
        self._engine = engine
        self._handle = handle
        self._samples: tuple[tuple[float, Usage], ...] = ()  # the last two
        self._closed = False
        self.told = threading.Event()  # two samples, or there will be none
        self.peak = 0
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name=f"top-{handle[:8]}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for usage in self._engine.usage(self._handle):
                if self._closed:
                    return
                self.peak = max(self.peak, usage.memory)
                self._samples = (*self._samples[-1:], (time.monotonic(), usage))
                if len(self._samples) > 1:
                    self.told.set()
        except ContainerGone:
            return
        except EngineError as error:
            self.trouble = error.message
        finally:
            self.told.set()

    @property
    def usage(self) -> Usage | None:
        """The last sample."""
        return self._samples[-1][1] if self._samples else None

    @property
    def cpu_percent(self) -> float | None:
        """Of one processor, between the last two samples."""
        if len(self._samples) < 2:
            return None
        (before, first), (now, second) = self._samples
        return 100 * (second.cpu_seconds - first.cpu_seconds) / max(now - before, 1e-9)

    def close(self) -> None:
        """End the reading."""
        self._closed = True
        deadline = time.monotonic() + _PATIENCE
        while self._thread.is_alive() and self._thread.ident and time.monotonic() < deadline:
            self._engine.abandon(self._thread.ident)
            self._thread.join(0.02)


class _Board:
    """The rows: a gauge for each task that runs."""

    def __init__(self, app: App, task_ids: Sequence[str]) -> None:
        self._app = app
        self._workspaces = [app.find(name)[0] for name in dict.fromkeys(task_ids)]
        self._gauges: dict[str, _Gauge] = {}

    @contextmanager
    def reading(self) -> Iterator[_Board]:
        """Within it the gauges read."""
        try:
            self._records()
            yield self
        finally:
            for gauge in self._gauges.values():
                gauge.close()

    def _records(self) -> list[TaskRecord]:
        """Those asked for, or all that run; each that runs gets its gauge."""
        home = self._app.store
        places = self._workspaces or [home.open(name) for name in home.active_ids()]
        found = [record for record in (place.load_or_none() for place in places) if record is not None]
        if not self._workspaces:
            found = [one for one in found if one.state is TaskState.RUNNING and not one.replication]
        # a task with replicas has no container: they have
        found = [one for record in found for one in self._app.replicas(record) or (record,)]
        for record in found:
            runs = record.state is TaskState.RUNNING and record.container is not None
            if runs and record.id not in self._gauges:
                assert record.container is not None
                self._gauges[record.id] = _Gauge(self._app.engine, record.container)
        return sorted(found, key=lambda record: record.created_at)

    def await_speeds(self) -> None:
        """Block until every gauge can tell a speed, or tells nothing."""
        deadline = time.monotonic() + _PATIENCE
        for gauge in self._gauges.values():
            gauge.told.wait(max(0.0, deadline - time.monotonic()))

    def troubles(self) -> list[str]:
        """What the engine said instead of an answer."""
        return list(dict.fromkeys(gauge.trouble for gauge in self._gauges.values() if gauge.trouble))

    def rows(self) -> list[dict[str, Any]]:
        """A JSON-ready row for each task."""
        return [self._row(record) for record in self._records()]

    def _row(self, record: TaskRecord) -> dict[str, Any]:
        from localrun.runner.usage import with_current_usage

        gauge = None if record.state.is_final else self._gauges.get(record.id)
        usage, percent = (gauge.usage, gauge.cpu_percent) if gauge else (None, None)
        known = with_current_usage(self._app.store.open(record.id), record).usage
        peaks = [known.memory_peak if known else 0, gauge.peak if gauge else 0]
        last = usage or known
        started = next((step.started for step in record.steps if step.name == "task"), None)
        ended = next((step.finished for step in record.steps if step.name == "task"), None)
        return {
            "id": record.id,
            "replica": f"{short_id(record.replica.parent_id)}/{record.replica.number}"
            if record.replica
            else None,
            "name": record.name,
            "state": str(record.state),
            "cpu_percent": None if percent is None else round(percent, 2),
            "cpus": record.resources.cpus,
            "cpu_seconds": last.cpu_seconds if last else None,
            "memory": usage.memory if usage else None,
            "memory_limit": record.resources.memory,
            "memory_peak": max(peaks) or None,
            "read_bytes": last.read_bytes if last else None,
            "written_bytes": last.written_bytes if last else None,
            "pids": usage.pids if usage else None,
            "seconds": None if started is None else round((ended or time.time()) - started, 3),
        }

    def look(self) -> tuple[str, bool]:
        """The table, and whether it may still change: a named task that has ended does not."""
        rows = self.rows()
        goes_on = not self._workspaces or any(not TaskState(row["state"]).is_final for row in rows)
        if not rows:
            return "no task runs here", goes_on
        return "\n".join(format_columns([_HEADS, *map(_cells, rows)], left=3)), goes_on


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    memory, limit = row["memory"], row["memory_limit"]
    return (
        row["replica"] or short_id(row["id"]),
        escape_control_chars(row["name"])[:24] or "-",
        row["state"],
        "-" if row["cpu_percent"] is None else f"{row['cpu_percent']:.1f}",
        _bytes(memory),
        _bytes(limit),
        "-" if memory is None or not limit else f"{100 * memory / limit:.1f}",
        _bytes(row["memory_peak"]),
        _bytes(row["read_bytes"]),
        _bytes(row["written_bytes"]),
        "-" if row["pids"] is None else str(row["pids"]),
        "-" if row["seconds"] is None else format_duration(row["seconds"]),
    )


def _bytes(size: int | None) -> str:
    return "-" if size is None else format_bytes(size)
