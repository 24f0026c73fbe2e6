"""The rows of a batch for the web page: an index of its results, and the tasks that have not ended."""

from __future__ import annotations

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from localrun import fs
from localrun.batch.names import row_name
from localrun.batch.results import ResultLine, decode_line
from localrun.batch.rows import Row
from localrun.report.details.rows import short_values
from localrun.server.listing.index import IndexedTask
from localrun.task.states import TaskState
from localrun.undecodable import decode_record

_MAX_VALUES = 8  # inputs or outputs of a row
_KEPT = 16  # batches
_BEFORE_FINISHED = {TaskState.FAILED: 0, TaskState.KILLED: 1}

Fields = dict[str, Any]


class IndexedRow(NamedTuple):
    """A row that has ended, and where its result is in the table."""

    number: int
    state: TaskState
    start: int
    end: int


class _Key(msgspec.Struct):
    """The part of a result that is kept."""

    row: int
    state: TaskState


class ResultIndex:
    """The results in a table, which is read once as it grows. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._rows: list[IndexedRow] = []
        self._position = 0
        self._file = (0, 0)  # device and inode
        self._last = b""  # line
        self._decoder = msgspec.json.Decoder(_Key)

    def rows(self) -> list[IndexedRow]:
        """Return all rows that have ended, in the order of their ends."""
        with self._lock:
            try:
                with fs.open_regular(self._path) as stream:
                    self._update(stream)
            except FileNotFoundError:
                self._rows, self._position, self._last = [], 0, b""
            return self._rows.copy()

    def _update(self, stream: Any) -> None:
        status = os.fstat(stream.fileno())
        file = (status.st_dev, status.st_ino)
        stream.seek(self._position - len(self._last))
        if file != self._file or stream.read(len(self._last)) != self._last:  # it was written again
            self._rows, self._position, self._file, self._last = [], 0, file, b""
            stream.seek(0)
        for text in stream:
            if not text.endswith(b"\n"):
                return
            end = self._position + len(text)
            with suppress(ValueError):  # a damaged line
                key = decode_record(self._decoder, text)
                self._rows.append(IndexedRow(key.row, key.state, self._position, end))
            self._position, self._last = end, text

    def read(self, rows: Iterable[IndexedRow]) -> Iterator[ResultLine]:
        """Yield the results of rows."""
        with fs.open_regular(self._path) as stream:
            for row in rows:
                stream.seek(row.start)
                yield decode_line(stream.read(row.end - row.start))

    def find(self, rows: Iterable[IndexedRow], text: str) -> list[IndexedRow]:
        """Return the rows whose result contains a text, in any case."""
        wanted, found = text.casefold(), []
        with fs.open_regular(self._path) as stream:
            for row in rows:
                stream.seek(row.start)
                if wanted in stream.read(row.end - row.start).decode("utf-8", "replace").casefold():
                    found.append(row)
        return found


class ResultIndexes:
    """The indexes of the batches that were read last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: OrderedDict[Path, ResultIndex] = OrderedDict()

    def of(self, path: Path) -> ResultIndex:
        with self._lock:
            found = self._indexes.setdefault(path, ResultIndex(path))
            self._indexes.move_to_end(path)
            while len(self._indexes) > _KEPT:
                self._indexes.popitem(last=False)
            return found


class RowSelection(NamedTuple):
    """Which rows to return, as in the query."""

    state: str
    text: str
    sort: str
    offset: int
    limit: int


def select_rows(
    index: ResultIndex,
    tasks: list[IndexedTask],
    selection: RowSelection,
    total: int,
    folders: tuple[str, ...],
) -> Fields:
    """Return a page of rows. `tasks` are those of the batch, `total` its rows, `folders` have its outputs."""
    ended = index.rows()
    known = {row.number for row in ended}
    active = [task for task in tasks if not task.record.state.is_final and _number(task) not in known]
    counts = Counter([row.state for row in ended] + [task.record.state for task in active])
    chosen = [row for row in ended if _matches(row.state, selection.state)]
    running = [task for task in active if _matches(task.record.state, selection.state)]
    running.sort(key=lambda task: (_rank(task), _number(task)))
    if selection.text:
        chosen = index.find(chosen, selection.text) if chosen else []
        running = [task for task in running if selection.text.casefold() in _text(task, total)]
    ordered = _ordered(chosen, running, selection.sort)
    page = ordered[selection.offset : selection.offset + selection.limit]
    results = [one for one in page if isinstance(one, IndexedRow)]
    lines = {line.row: line for line in index.read(results)} if results else {}
    return {
        "rows": [
            _of_line(lines[one.number], folders) if isinstance(one, IndexedRow) else _of_task(one, total)
            for one in page
        ],
        "counts": {str(state): counts[state] for state in TaskState},
        "matching": len(ordered),
    }


def _text(task: IndexedTask, total: int) -> str:
    """Return the text of an active row that a search looks at."""
    row = _of_task(task, total)
    values = (f"{value['name']} {value.get('text', '')}" for value in row["inputs"])
    return "\n".join([row["id"], row["message"], row["task"], *values]).casefold()


def _ordered(ended: list[IndexedRow], tasks: list[IndexedTask], sort: str) -> list[IndexedRow | IndexedTask]:
    both: list[IndexedRow | IndexedTask] = [*ended, *tasks]
    if sort == "-ended":
        return [*tasks, *reversed(ended)]
    if sort == "row":
        return sorted(both, key=_number)
    return sorted(both, key=lambda one: (_rank(one), _number(one)))


def _rank(one: IndexedRow | IndexedTask) -> int:
    """Return the place of a row among the others: failed, killed, running, waiting, finished."""
    if isinstance(one, IndexedRow):
        return _BEFORE_FINISHED.get(one.state, 4)
    return 2 if one.record.state is TaskState.RUNNING else 3


def _number(one: IndexedRow | IndexedTask) -> int:
    if isinstance(one, IndexedRow):
        return one.number
    return one.record.batch.row if one.record.batch is not None else 0


def _matches(state: TaskState, wanted: str) -> bool:
    if wanted in ("active", "ended"):
        return state.is_final is (wanted == "ended")
    return wanted in ("all", state)


def _of_line(line: ResultLine, folders: tuple[str, ...]) -> Fields:
    return {
        "row": line.row,
        "id": line.id,
        "state": line.state,
        "final": True,
        "cause": line.cause,
        "message": line.message[:500],
        "task": line.task,
        "node": line.node,
        "seconds": line.duration,
        "memory_peak": line.peak_memory,
        "reused": line.reused,
        "inputs": _inputs(line.inputs),
        "outputs": short_values(line.outputs, folders, _MAX_VALUES),
    }


def _of_task(task: IndexedTask, total: int) -> Fields:
    row, place = task.row, Row(_number(task), {}, task.record.batch.name if task.record.batch else "")
    return {
        "row": place.number,
        "id": row_name(place, total),
        "state": row["state"],
        "final": False,
        "cause": None,
        "message": row["message"],
        "task": row["id"],
        "node": task.record.node,
        "seconds": None,
        "memory_peak": None,
        "started": row["started"],
        "reused": False,
        "inputs": _inputs(task.record.inputs or task.record.run_plan.values),
        "outputs": [],
    }


def _inputs(values: dict[str, Any]) -> list[Fields]:
    """Return inputs in short form; files have their names."""
    named = {
        name: value.rstrip("/").rpartition("/")[2].removeprefix("@")
        if isinstance(value, str) and value.startswith(("/", "@"))
        else value
        for name, value in values.items()
    }
    return short_values(named, (), _MAX_VALUES)
