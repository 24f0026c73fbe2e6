"""`localrun top`: show the resource usage of running tasks."""

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
from localrun.console.streams import is_terminal, print_err, print_json
from localrun.errors import ContainerGone, EngineError
from localrun.task.record import short_id
from localrun.task.states import TaskState
from localrun.units import format_bytes, format_duration

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.engines.base import Engine, Usage
    from localrun.task.record import TaskRecord

_INTERVAL = 1.0  # seconds; engines do not measure more often
_TIMEOUT = 5.0  # seconds to wait for the second sample, which the CPU usage needs
_HEADS = (
    *("ID", "NAME", "STATE", "CPU %", "MEMORY", "LIMIT", "MEM %", "PEAK"),
    *("READ", "WRITTEN", "PIDS", "TIME"),
)


@click.command()
@options.task_ids
@options.flag("--no-stream", help="Print once instead of refreshing.")
@options.as_json
@pass_context
def command(context: CliContext, task_ids: tuple[str, ...], *, no_stream: bool, as_json: bool) -> None:
    """Show CPU, memory and disk usage of the tasks ID... or of all running tasks, refreshed every second.

    100 % is one CPU. PEAK is the highest memory usage so far; ended tasks only have this value. READ and
    WRITTEN are disk bytes of the container; data in the page cache counts when it is written to disk.
    """
    with context.app(on_exit="leave") as app, _Table(app, task_ids).sampling() as table:
        if as_json or no_stream or not is_terminal(sys.stdout, context.environ):
            table.wait_for_samples()
            _print_once(table, context, as_json=as_json)
        else:
            print_or_watch(table.render, _INTERVAL, context.environ)


def _print_once(table: _Table, context: CliContext, *, as_json: bool) -> None:
    if as_json:
        print_json(table.rows())
    elif table.rows():
        print_or_watch(table.render, None, context.environ)
    else:
        print_err("no running tasks in this folder")
    for message in table.errors():
        print_err(f"warning: {message}")


class _Meter:
    """Samples the usage of one container in a thread."""

    def __init__(self, engine: Engine, handle: str) -> None:
        self._engine = engine
        self._handle = handle
        self._samples: tuple[tuple[float, Usage], ...] = ()  # the last two
        self._closed = False
        self.ready = threading.Event()  # set after two samples, or when no more will come
        self.peak = 0
        self.error = ""
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
                    self.ready.set()
        except ContainerGone:
            return
        except EngineError as error:
            self.error = error.message
        finally:
            self.ready.set()

    @property
    def usage(self) -> Usage | None:
        return self._samples[-1][1] if self._samples else None

    @property
    def cpu_percent(self) -> float | None:
        """CPU usage between the last two samples, in percent of one CPU."""
        if len(self._samples) < 2:
            return None
        (before, first), (now, second) = self._samples
        return 100 * (second.cpu_seconds - first.cpu_seconds) / max(now - before, 1e-9)

    def close(self) -> None:
        self._closed = True
        deadline = time.monotonic() + _TIMEOUT
        while self._thread.is_alive() and self._thread.ident and time.monotonic() < deadline:
            self._engine.abandon(self._thread.ident)
            self._thread.join(0.02)


class _Table:
    """The rows of the tasks, with a meter for each running one."""

    def __init__(self, app: App, task_ids: Sequence[str]) -> None:
        self._app = app
        self._workspaces = [app.find(name)[0] for name in dict.fromkeys(task_ids)]
        self._meters: dict[str, _Meter] = {}

    @contextmanager
    def sampling(self) -> Iterator[_Table]:
        try:
            self._records()
            yield self
        finally:
            for meter in self._meters.values():
                meter.close()

    def _records(self) -> list[TaskRecord]:
        """Return the named or all running tasks; start a meter for each running one."""
        home = self._app.store
        workspaces = self._workspaces or [home.open(name) for name in home.active_ids()]
        found = [record for record in (place.load_or_none() for place in workspaces) if record is not None]
        if not self._workspaces:
            found = [one for one in found if one.state is TaskState.RUNNING and not one.replication]
        # a task with replicas has no container of its own
        found = [one for record in found for one in self._app.replicas(record) or (record,)]
        for record in found:
            if record.state is TaskState.RUNNING and record.container and record.id not in self._meters:
                self._meters[record.id] = _Meter(self._app.engine, record.container)
        return sorted(found, key=lambda record: record.created)

    def wait_for_samples(self) -> None:
        """Block until the CPU usage of every task is known, or for at most `_TIMEOUT`."""
        deadline = time.monotonic() + _TIMEOUT
        for meter in self._meters.values():
            meter.ready.wait(max(0.0, deadline - time.monotonic()))

    def errors(self) -> list[str]:
        """Return the errors of the engine, each once."""
        return list(dict.fromkeys(meter.error for meter in self._meters.values() if meter.error))

    def rows(self) -> list[dict[str, Any]]:
        return [self._row(record) for record in self._records()]

    def _row(self, record: TaskRecord) -> dict[str, Any]:
        from localrun.runner.usage import with_current_usage

        meter = None if record.state.is_final else self._meters.get(record.id)
        usage, percent = (meter.usage, meter.cpu_percent) if meter else (None, None)
        known = with_current_usage(self._app.store.open(record.id), record).usage
        peaks = [known.memory_peak if known else 0, meter.peak if meter else 0]
        last = usage or known
        started = next((step.started for step in record.steps if step.name == "task"), None)
        ended = next((step.finished for step in record.steps if step.name == "task"), None)
        replica = record.replica
        return {
            "id": record.id,
            "replica": f"{short_id(replica.parent_id)}/{replica.number}" if replica else None,
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

    def render(self) -> tuple[str, bool]:
        """Return the table, and whether it may still change, which named tasks do not after their end."""
        rows = self.rows()
        may_change = not self._workspaces or any(not TaskState(row["state"]).is_final for row in rows)
        if not rows:
            return "no running tasks in this folder", may_change
        return "\n".join(format_columns([_HEADS, *map(_cells, rows)], left=3)), may_change


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
