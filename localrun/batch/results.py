"""The table of results: JSON Lines, and the same as CSV. Both are appended to row by row.

The JSON Lines are the truth. A line that a crash has cut off is removed when the table is opened, and the CSV
is written again from the lines.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun.batch.backend import RowResult
from localrun.batch.rows import Row
from localrun.errors import UsageError
from localrun.task.states import TaskState
from localrun.undecodable import decode_record, encode_record
from localrun.units import format_count
from localrun.values import FileValue
from localrun.values.references import TaskOutput
from localrun.values.urls import Url, is_url, mask_url

_BEFORE, _BETWEEN = ("row", "id"), ("state", "cause", "duration", "peak_memory")
_AFTER = ("message", "task", "node", "reused")
_OPTIONS = "--output or --results"  # choose the folder
FIXED = (*_BEFORE, *_BETWEEN, *_AFTER)


class ResultLine(msgspec.Struct, frozen=True):
    """The result of one row, as a line of the table. Fields as in `Row` and `RowResult`."""

    row: int
    id: str
    state: TaskState
    cause: str | None = None
    duration: float | None = None
    peak_memory: int | None = None
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    message: str = ""
    task: str = ""
    node: str = ""
    reused: bool = False
    digest: str = ""
    occurrence: int = 0

    @property
    def is_finished(self) -> bool:
        return self.state is TaskState.FINISHED

    @property
    def key(self) -> tuple[str, int]:
        """What the row is recognised by."""
        return self.digest, self.occurrence


_DECODER = msgspec.json.Decoder(ResultLine)


def line_of(result: RowResult, name: str) -> ResultLine:
    """Return the line for a result; `name` is the row's name."""
    row = result.row
    return ResultLine(
        row=row.number,
        id=name,
        state=result.state,
        cause=result.cause,
        duration=result.duration if result.duration is None else round(result.duration, 3),
        peak_memory=result.peak_memory,
        inputs=shown_inputs(row),
        outputs=dict(result.outputs),
        message=result.message,
        task=result.task,
        node=result.node,
        reused=result.reused,
        digest=row.digest,
        occurrence=row.occurrence,
    )


def shown_inputs(row: Row) -> dict[str, Any]:
    """Return the inputs of a row as JSON; files are paths."""
    return {str(name): _shown(value) for name, value in row.values.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, (str, int, float)):  # the most frequent ones
        return mask_url(value) if isinstance(value, str) and is_url(value) else value
    if isinstance(value, (FileValue, os.PathLike)):
        return os.fspath(value.path if isinstance(value, FileValue) else value)
    if isinstance(value, (TaskOutput, Url)):
        return str(value) if isinstance(value, Url) else f"@task:{value.task}/{value.output}"
    if isinstance(value, dict):
        return {str(name): _shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=str)


def read_lines(path: Path, notify: Callable[[str], None] = lambda _: None) -> Iterator[ResultLine]:
    """Yield the lines of a table, without one that is cut off. `notify` gets the damaged ones.

    Raises `OSError`.
    """
    yield from (line for line, _ in read_lines_after(path, 0, notify))


def read_lines_after(
    path: Path, position: int, notify: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[ResultLine, int]]:
    """Yield the lines from a position on, each with the position behind it. As `read_lines`."""
    with fs.open_regular(path) as stream:
        stream.seek(position)
        for number, text in enumerate(stream, 1):
            if not text.endswith(b"\n"):
                return
            position += len(text)
            try:
                yield decode_line(text), position
            except ValueError:
                notify(f"{path}:{number}: the line is damaged and was removed")


def decode_line(text: bytes) -> ResultLine:
    """Return a line of a table. Raises `ValueError` if it is damaged."""
    line: ResultLine = decode_record(_DECODER, text)
    return line


class ResultTable:
    """The two files of a table; `inputs` and `outputs` name the columns between the fixed ones."""

    def __init__(self, path: Path, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.path = path
        self.csv = path.with_suffix(".csv")
        self._inputs, self._outputs = list(inputs), list(outputs)

    def replace(self, lines: Iterable[ResultLine]) -> None:
        """Write both files with these lines, each atomically."""
        with fs.wrap_os_errors(self.path.parent, _OPTIONS):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with fs.atomic_file(self.path) as temp, temp.open("wb") as stream:
                for line in lines:
                    stream.write(encode_record(line) + b"\n")
            with fs.atomic_file(self.csv) as temp, temp.open("wb") as stream:
                stream.write(_csv(self.columns))
                for line in read_lines(self.path):
                    stream.write(_csv(self.cells(line)))

    def add(self, line: ResultLine) -> None:
        """Append a line to both files."""
        contents = ((self.path, encode_record(line) + b"\n"), (self.csv, _csv(self.cells(line))))
        with fs.wrap_os_errors(self.path.parent, _OPTIONS):
            for path, content in contents:
                with path.open("ab", buffering=0) as stream:
                    fs.write_all(stream, content)

    @property
    def columns(self) -> list[str]:
        """The columns of the CSV. A name that is used twice has `inputs.` or `outputs.` before it."""
        inputs = [f"inputs.{name}" if name in (*FIXED, *self._outputs) else name for name in self._inputs]
        outputs = [f"outputs.{name}" if name in (*FIXED, *self._inputs) else name for name in self._outputs]
        return [*_BEFORE, *inputs, *_BETWEEN, *outputs, *_AFTER]

    def cells(self, line: ResultLine) -> list[Any]:
        """Return the cells of a line, in the order of `columns`."""
        groups = ([getattr(line, name) for name in names] for names in (_BEFORE, _BETWEEN, _AFTER))
        before, between, after = groups
        inputs = [line.inputs.get(name) for name in self._inputs]
        outputs = [line.outputs.get(name) for name in self._outputs]
        return [*before, *inputs, *between, *outputs, *after]


class BatchResults(list[ResultLine]):
    """Results of rows, in the order of their ends."""

    def __init__(self, lines: Iterable[ResultLine], table: ResultTable) -> None:
        super().__init__(lines)
        self._table = table

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with the columns of the CSV. Raises `UsageError` without pandas."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            remedy = "install it with `pip install pandas`, or read the results as CSV"
            raise UsageError("pandas is not installed", remedy=remedy) from error
        return pandas.DataFrame([self._table.cells(line) for line in self], columns=self._table.columns)

    def _repr_html_(self) -> str:
        """Return a table in HTML without scripts, for notebooks; 200 KB at most."""
        from localrun.batch.notebook import results_html

        return results_html(self)


def progress_text(counts: Mapping[str, int], total: int) -> str:
    """Return a line such as `120 of 500 rows ended (118 finished, 2 failed)`."""
    parts = ", ".join(f"{number:,} {state.lower()}" for state, number in sorted(counts.items()))
    ended = f"{sum(counts.values()):,} of {format_count(total, 'row', grouped=True)} ended"
    return f"{ended} ({parts})" if parts else ended


def _csv(cells: Iterable[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(_cell, cells))
    return text.getvalue().encode("utf-8", "surrogateescape")


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, list | dict | bool) else value
