"""Rows of a table in a file: CSV with a line of column names, or JSON Lines with one object per line.

An empty cell or null means the default of the input. A file `@FILE` is relative to the table.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO

from msgspec.structs import replace

from localrun import fs
from localrun.batch.rows import ID, Row, is_input, read_row
from localrun.descriptor import Descriptor
from localrun.descriptor.types import format_value
from localrun.errors import InputsError, Problem
from localrun.undecodable import escape, is_text
from localrun.units import format_count
from localrun.values import FileValue, parse_assignments
from localrun.values.parsing import resolve_files, unknown_input

_MOST_BYTES = 64 << 20  # of a line or a cell
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_OTHER_FORMATS = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"PK\x03\x04": "a spreadsheet or a zip",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x1f\x8b": "compressed with gzip",
    b"PAR1": "a Parquet file",
}
_MOST_SHOWN = 80  # characters of a cell
_BOM = b"\xef\xbb\xbf"


class TableRows:
    """The rows of a table. `stream` is read instead of the file; its relative files are below this folder.

    It is copied when it is read first, because the rows are read more than once: first to check all of them,
    and then while they run, when the table may change. A pipe is copied at once.
    """

    def __init__(self, path: Path, stream: IO[bytes] | None = None) -> None:
        self.file = "<stdin>" if str(path) == "-" else str(path)
        self._path = path
        self._base = path.parent
        self._copied: IO[bytes] | None = None
        if stream is not None or not (path.is_file() or path.is_dir() or not path.exists()):
            self._base = Path()
            with path.open("rb") if stream is None else nullcontext(stream) as source:
                self._copied = self._copy(source)

    def _copy(self, source: IO[bytes]) -> IO[bytes]:
        copied = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, copied.close)
        shutil.copyfileobj(source, copied)
        return copied

    def _open(self) -> BinaryIO:
        if self._copied is None:
            with fs.open_regular(self._path) as source:
                self._copied = self._copy(source)
        self._copied.seek(0)
        return os.fdopen(os.dup(self._copied.fileno()), "rb")

    def describe(self) -> dict[str, Any]:
        return {"table": str(self._path.absolute())}

    def rows(self, descriptor: Descriptor) -> Iterator[Row]:
        """Yield the rows. Raises `InputsError` for a table that cannot be read or has other columns."""
        try:
            with self._open() as stream:
                yield from self._rows(stream, descriptor)
        except OSError as error:
            raise self._error(f"cannot read the table: {error.strerror}", "check the path") from error

    def _rows(self, stream: BinaryIO, descriptor: Descriptor) -> Iterator[Row]:
        start = stream.read(4)
        for magic, kind in _OTHER_FORMATS.items():
            if start.startswith(magic):
                raise self._error(f"the table is {kind}", "export it as CSV in UTF-8")
        stream.seek(len(_BOM) if start.startswith(_BOM) else 0)
        is_json = self._path.suffix.lower() in _JSON_SUFFIXES or (
            self._path.suffix.lower() not in (".csv", ".tsv") and start.lstrip().startswith(b"{")
        )
        read = self._json_rows if is_json else self._csv_rows
        found = False
        for row in read(_lines(stream), descriptor):
            found = True
            yield row
        if not found:
            raise self._error("the table has no rows", "add a line for each task")

    # -- JSON Lines ------------------------------------------------------------------------------

    def _json_rows(self, lines: Iterable[bytes], descriptor: Descriptor) -> Iterator[Row]:
        number = 0
        for line, data in enumerate(lines, 1):
            if not data.strip():
                continue
            number += 1
            problems: list[Problem] = []
            found = self._object(data, line, problems)
            row = read_row(number, found, descriptor)
            for name, value in row.values.items():
                if "\\u0000" in json.dumps(value):
                    problems.append(
                        _problem(name, f"{format_value(value)} contains a NUL character", "remove it")
                    )
            values = {name: resolve_files(value, self._base) for name, value in row.values.items()}
            yield replace(row, values=values, line=line, problems=(*row.problems, *problems))

    def _object(self, data: bytes, line: int, problems: list[Problem]) -> dict[str, Any]:
        """Return the object of a line; an empty one, and a problem of the whole row, if there is none."""

        def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
            counts = Counter(name for name, _ in items)
            for name, count in counts.items():
                if count > 1:
                    problems.append(_problem(name, f"duplicate key {name!r}", "remove one of them"))
            return dict(items)

        column = 0
        try:
            found = json.loads(data.decode("utf-8"), object_pairs_hook=pairs)
            if isinstance(found, dict):
                return found
            what = f"expected a JSON object, found {format_value(found)}"
            remedy = 'write e.g. {"threshold": 0.5} per line'
        except UnicodeDecodeError as error:
            what, remedy = f"byte {data[error.start]:#04x} is not UTF-8", "save the table as UTF-8"
            column = error.start + 1
        except json.JSONDecodeError as error:
            what, remedy, column = f"invalid JSON: {error.msg}", "write one JSON object per line", error.colno
        except (ValueError, RecursionError):
            what, remedy = "invalid JSON: nested too deeply", "correct it"
        problems[:] = [self._problem(what, remedy, "", line, column)]
        return {}

    # -- CSV -------------------------------------------------------------------------------------

    def _csv_rows(self, lines: Iterable[bytes], descriptor: Descriptor) -> Iterator[Row]:
        texts = (line.decode("utf-8", "surrogateescape") for line in lines)
        csv.field_size_limit(_MOST_BYTES)
        delimiter = "\t" if self._path.suffix.lower() == ".tsv" else ","
        reader = csv.reader(texts, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        number, line = 0, 1
        for cells in self._checked(reader):
            start, line = line, reader.line_num + 1
            if not cells:
                continue
            if names is None:
                names = self._header(cells, descriptor, start)
                continue
            number += 1
            yield self._csv_row(names, cells, descriptor, number, start)
        if names is None:
            raise self._error("the table is empty", "start it with a line of column names")

    def _checked(self, reader: Any) -> Iterator[list[str]]:
        while True:
            line = reader.line_num + 1
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                what = f"invalid CSV: {error}"
                remedy = "put each cell with a quote, a comma or a line break in quotes"
                if "new-line character" in what:
                    what, remedy = (
                        "invalid CSV: a carriage return outside of quotes",
                        "end lines with LF or CRLF",
                    )
                raise self._error(what, remedy, line=line) from None

    def _header(self, cells: Sequence[str], descriptor: Descriptor, line: int) -> list[str]:
        names = [cell.strip() for cell in cells]
        problems = []
        for position, name in enumerate(names, 1):
            place = f"column {position}"
            if not name:
                problems.append(self._problem("the column has no name", "name or remove it", place, line))
            elif reason := _unreadable(name):
                problems.append(self._problem(*reason, place, line))
            elif names.index(name) < position - 1:
                problems.append(
                    self._problem(f"duplicate column {name!r}", "remove one of them", place, line)
                )
            elif not is_input(name, descriptor) and name != ID:
                problems.append(self._unknown(name, descriptor, place, line))
        if problems:
            raise InputsError(f"invalid columns in {self.file}", remedy="correct them", problems=problems)
        return names

    def _unknown(self, name: str, descriptor: Descriptor, place: str, line: int) -> Problem:
        for other, word in ((";", "semicolons"), ("\t", "tabs")):
            if other in name:
                return self._problem(f"the cells are separated by {word}", "use commas", place, line)
        found = unknown_input(name, descriptor)
        return self._problem(found.message.replace("input", "column", 1), found.remedy, place, line)

    def _csv_row(
        self, names: Sequence[str], cells: Sequence[str], descriptor: Descriptor, number: int, line: int
    ) -> Row:
        if len(cells) != len(names):
            given = f"{format_count(len(cells), 'cell')}: {format_value(list(cells))}"
            what = f"expected {format_count(len(names), 'cell')}, found {given}"
            return Row(number, {}, "", line, (Problem("", what, "add or remove cells"),))
        problems: list[Problem] = []
        pairs: list[str] = []
        name = ""
        for column, cell in zip(names, cells, strict=True):
            if reason := _unreadable(cell):
                problems.append(_problem(column, *reason))
            elif column == ID and ID not in descriptor.inputs:
                name = cell
            elif cell:
                pairs.append(f"{column}={cell}")
        parsed = parse_assignments(pairs, descriptor)
        values = {key: _rebase(value, self._base) for key, value in parsed.values.items()}
        return Row(number, values, name, line, (*problems, *parsed.problems))

    # -- errors ----------------------------------------------------------------------------------

    def _problem(self, message: str, remedy: str, place: str, line: int, column: int = 0) -> Problem:
        return Problem(place, message, remedy, self.file, line, column)

    def _error(
        self, message: str, remedy: str, place: str = "", line: int = 0, column: int = 0
    ) -> InputsError:
        problem = self._problem(message, remedy, place, line, column)
        return InputsError(f"cannot read {self.file}", remedy=remedy, problems=[problem])


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(_MOST_BYTES):
        yield line


def _unreadable(text: str) -> tuple[str, str] | None:
    """Return why a text cannot be a value, and the remedy; None if it can."""
    if not is_text(text):
        return f"'{escape(text)[:_MOST_SHOWN]}' is not UTF-8", "save the table as UTF-8"
    if "\0" in text:
        return f"{format_value(text)} contains a NUL character", "remove it"
    return None


def _rebase(value: Any, base: Path) -> Any:
    """Return a parsed value with relative files below `base`."""
    if isinstance(value, FileValue):
        return FileValue(base / value.path)
    if isinstance(value, Mapping):
        return {key: _rebase(item, base) for key, item in value.items()}
    return [_rebase(item, base) for item in value] if isinstance(value, list) else value


def _problem(name: str, message: str, remedy: str) -> Problem:
    return Problem(f"inputs.{name[:80]}", message, remedy)
