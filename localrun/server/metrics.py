"""Metrics of the server for Prometheus."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from localrun._version import __version__
from localrun.server.batches.models import BatchState
from localrun.server.reservations import read_capacity, read_entries
from localrun.task.events import Event
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState

if TYPE_CHECKING:
    from localrun.app import App

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600)


class Metrics:
    """The metrics of one server: those of its tasks since its start, and the current ones of the machine.

    `tasks` returns the records of all tasks of the folder, `batches` its batches as clients see them, and
    `engine_status` whether the engine answers.
    """

    def __init__(
        self,
        app: App,
        tasks: Callable[[], Iterator[TaskRecord]],
        engine_status: Callable[[], dict[str, Any]],
        batches: Callable[[], Iterator[dict[str, Any]]],
    ) -> None:
        self._app = app
        self._registry = CollectorRegistry()
        self._ended = self._counter(
            "localrun_tasks_ended", "Tasks of this server that ended, by state and cause.", "state", "cause"
        )
        self._run = self._histogram(
            "localrun_task_run_seconds", "Time from the start of a container to its end."
        )
        self._wait = self._histogram(
            "localrun_task_wait_seconds", "Time that a task waited for CPUs, memory, GPUs or disk."
        )
        self._registry.register(_Current(app, tasks, engine_status, batches))
        ProcessCollector(registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=_SECONDS, registry=self._registry)

    def on_event(self, event: Event) -> None:
        """Count the end of a task; the event listener."""
        state = event.data.get("state") if event.kind == "state" else None
        if state is None or not TaskState(state).is_final:
            return
        self._ended.labels(str(state), event.data.get("cause") or "").inc()
        record = self._app.manager.find_task(event.task_id)
        if record is not None:
            for entered, histogram in ((TaskState.RUNNING, self._run), (TaskState.QUEUING, self._wait)):
                seconds = _seconds_in(record, entered)
                if seconds is not None:
                    histogram.observe(seconds)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics in the format that a client accepts, and its content type. Blocks."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _seconds_in(record: TaskRecord, wanted: TaskState) -> float | None:
    """Return the time that a task spent in a state, also in several turns; None if it was never in it."""
    times = record.history
    spent = [max(0.0, end - start) for (state, start), (_, end) in pairwise(times) if state == wanted]
    return sum(spent) if spent else None


class _Current(Collector):
    """Reads the current state for each request. Tasks of other processes in the folder count, too."""

    def __init__(
        self,
        app: App,
        tasks: Callable[[], Iterator[TaskRecord]],
        engine_status: Callable[[], dict[str, Any]],
        batches: Callable[[], Iterator[dict[str, Any]]],
    ) -> None:
        self._app = app
        self._tasks = tasks
        self._engine_status = engine_status
        self._batches = batches

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Return nothing, so that the registry does not collect at the start."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        """Yield the metrics."""
        yield InfoMetricFamily("localrun", "The version of localrun.", {"version": __version__})
        tasks = GaugeMetricFamily(
            "localrun_tasks", "Tasks of this folder by state and cause.", labels=["state", "cause"]
        )
        counts = Count((str(record.state), record.cause or "") for record in self._tasks())
        counts.update({(str(state), ""): 0 for state in TaskState})  # so that a state never disappears
        for labels, number in sorted(counts.items()):
            tasks.add_metric(labels, number)
        yield tasks
        yield from self._of_batches()
        yield from self._machine()
        status = self._engine_status()
        up = GaugeMetricFamily("localrun_engine_up", "Whether the container engine answers (1) or not (0).")
        up.add_metric([], int(status["available"]))
        yield up
        if status["available"]:
            values = {name: str(status[name]) for name in ("name", "version")}
            yield InfoMetricFamily("localrun_engine", "The container engine.", values)

    def _of_batches(self) -> Iterator[GaugeMetricFamily]:
        """Yield the batches by state, and the rows of those that run."""
        found = list(self._batches())
        batches = GaugeMetricFamily("localrun_batches", "Batches of this folder by state.", labels=["state"])
        for state in get_args(BatchState):
            batches.add_metric([state], sum(batch["state"] == state for batch in found))
        yield batches
        rows = GaugeMetricFamily(
            "localrun_batch_rows",
            "Rows of the running batches by state; `open` have not ended.",
            labels=["state"],
        )
        counts = Count({str(state): 0 for state in TaskState if state.is_final} | {"open": 0})
        for batch in found:
            if batch["state"] == "running":
                counts.update(batch["counts"])
                counts["open"] += batch["total"] - sum(batch["counts"].values())
        for name, number in sorted(counts.items()):
            rows.add_metric([name], number)
        yield rows

    def _machine(self) -> Iterator[GaugeMetricFamily]:
        """Yield the queue and the reservations of this machine, which all folders and users share."""
        entries = read_entries(self._app)
        queue = GaugeMetricFamily(
            "localrun_queue_tasks",
            "Tasks on this machine, of all folders and users, that were admitted or wait.",
            labels=["status"],
        )
        admitted = [entry for entry in entries if entry.admitted]
        queue.add_metric(["admitted"], len(admitted))
        queue.add_metric(["waiting"], len(entries) - len(admitted))
        yield queue
        capacity, _ = read_capacity(self._app)
        for name, unit, text in (
            ("cpus", "cpus", "CPUs"),
            ("memory", "memory_bytes", "Memory"),
            ("gpus", "gpus", "GPUs"),
        ):
            reserved = GaugeMetricFamily(f"localrun_reserved_{unit}", f"{text} that tasks have reserved.")
            reserved.add_metric([], sum(getattr(entry, name) for entry in admitted))
            yield reserved
            if capacity is not None:
                total = GaugeMetricFamily(f"localrun_capacity_{unit}", f"{text} that tasks can reserve.")
                total.add_metric([], getattr(capacity, name))
                yield total
