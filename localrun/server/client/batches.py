"""A batch that runs in a server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from localrun.batch.results import BatchResults, ResultLine, ResultTable, decode_line, progress_text
from localrun.batch.rows import records_of
from localrun.errors import LocalrunError, UsageError
from localrun.server.client.answers import check

if TYPE_CHECKING:
    from localrun.server.client.client import Client

_MAX_WAIT = 30.0  # seconds of one request that waits
_CHUNK = 4 << 20  # bytes of the results in one response
_FORMATS = {".csv": "csv", ".jsonl": "jsonl"}


class ServedBatch:
    """A batch that runs in a server, which continues it after a restart. Its methods are those of `Batch`.

    Iterate over it for the results as rows end. Outputs that are files are paths on the server's machine;
    `client.download_output(result.task, NAME, FILE)` copies one. All methods raise as those of `Client`.
    """

    def __init__(self, client: Client, details: dict[str, Any]) -> None:
        self._client = client
        self._last = details

    def __repr__(self) -> str:
        state, text = self._last["state"], progress_text(self._last["counts"], len(self))
        return f"<localrun.ServedBatch {self.id} {state}: {text}>"

    # -- state ---------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id of the batch."""
        return str(self._last["batch_id"])

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._last["total"])

    @property
    def details(self) -> dict[str, Any]:
        """All keys of the response of the server, as it is now."""
        return self._update("GET", "")

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of ended rows by state."""
        return dict(self.details["counts"])

    @property
    def status(self) -> str:
        """`running`, `ended` once all rows have ended, `stopped`, or `cancelled`."""
        return str(self.details["state"])

    @property
    def is_terminal(self) -> bool:
        """Whether no row runs any more."""
        return self.status != "running"

    @property
    def progress(self) -> str:
        """A line such as `120 of 500 rows ended (118 finished, 2 failed)`."""
        return progress_text(self.counts, len(self))

    def _update(self, method: str, action: str, **given: Any) -> dict[str, Any]:
        self._last = self._client.call(method, f"{batch_path(self.id)}{action}", **given)["batch"]
        return self._last

    # -- results -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ResultLine]:
        """Yield the result of each row when it has ended, from the first one on. Raises as `wait`."""
        position = number = 0
        found = self.details
        while True:
            is_over = found["state"] != "running"
            if is_over or sum(found["counts"].values()) > number:
                for line, end in self._lines(position):
                    position, number = end, number + 1
                    yield line
            if is_over:
                break
            found = self._await(_MAX_WAIT, after=number)
        self._raise(found)

    @property
    def results(self) -> BatchResults:
        """The results so far."""
        return _table(line for line, _ in self._lines(0))

    @property
    def failed(self) -> BatchResults:
        """The results so far of the rows that did not finish."""
        return _table(line for line, _ in self._lines(0) if not line.is_finished)

    def _lines(self, position: int) -> Iterator[tuple[ResultLine, int]]:
        """Yield the results from a position in the table on, and the position behind each."""
        path, size = f"{batch_path(self.id)}/results", _CHUNK
        while True:
            wanted = {"Range": f"bytes={position}-{position + size - 1}"}
            answer = self._client.answer("GET", path, headers=wanted)
            if answer.status in (404, 416):  # there are no results yet, or no more
                return
            check(answer, path)
            whole = answer.body[: answer.body.rfind(b"\n") + 1]
            for line in whole.splitlines(keepends=True):
                position += len(line)
                with suppress(ValueError):  # a damaged line
                    yield decode_line(line), position
            if len(answer.body) < size:
                return
            size = _CHUNK if whole else 2 * size  # a line is longer

    def download_results(self, dest: str | os.PathLike[str]) -> Path:
        """Write the table of the results so far to `dest`, a `.csv` or `.jsonl` file, and return its path."""
        suffix = Path(dest).suffix.lower()
        if suffix not in _FORMATS:
            remedy = "e.g. `batch.download_results('results.csv')`"
            raise UsageError(f"results must be a .csv or .jsonl file, found {str(dest)!r}", remedy=remedy)
        return self._client.download(f"{batch_path(self.id)}/results", dest, format=_FORMATS[suffix])

    # -- waiting and control -------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> Self:
        """Block until no row runs any more.

        Raises `TimeoutError` after `timeout` seconds, and `LocalrunError` if something kept the other rows
        from running, e.g. a missing engine. A failed row does not raise.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            found = self._await(left)
            if found["state"] != "running":
                self._raise(found)
                return self
            if left <= 0:
                text = progress_text(found["counts"], len(self))
                raise TimeoutError(f"batch {self.id} has not ended after {timeout:g} s: {text}")

    def _await(self, timeout: float, **params: Any) -> dict[str, Any]:
        patience = min(timeout, _MAX_WAIT, self._client.timeout / 2)
        return self._update("GET", "/wait", params={"timeout": patience, **params})

    def _raise(self, found: Mapping[str, Any]) -> None:
        if found["error"]:
            raise LocalrunError(str(found["error"]), remedy="correct this, and continue with `resume()`")

    def cancel(self, grace: float | None = None) -> Self:
        """Stop the rows that run, and start no more; return when nothing of them remains.

        `grace` are seconds until containers are killed by force. The results so far stay. Has no effect on a
        batch that has ended.
        """
        if self.status not in ("ended", "cancelled"):
            self._update("POST", "/cancel", params={} if grace is None else {"grace": grace})
        return self

    def resume(self) -> Self:
        """Run the rows that have not ended, and return at once."""
        self._update("POST", "/resume")
        return self

    def rerun_failed(self) -> Self:
        """Run the rows again that did not finish, also those that never ran, and return at once."""
        self._update("POST", "/resume", json={"rerun_failed": True})
        return self


def batch_path(batch_id: str) -> str:
    """Return the path of a batch's requests. Raises `UsageError` if its id is empty."""
    if not batch_id:
        raise UsageError("the batch id is empty", remedy="pass the id of a batch")
    return f"/batch/{quote(batch_id, safe='')}"


def _table(found: Iterable[ResultLine]) -> BatchResults:
    lines = list(found)
    inputs = dict.fromkeys(name for line in lines for name in line.inputs)
    outputs = dict.fromkeys(name for line in lines for name in line.outputs)
    return BatchResults(lines, ResultTable(Path("results.jsonl"), list(inputs), list(outputs)))


def rows_as_sent(rows: Any, grid: Mapping[str, Iterable[Any]] | None) -> dict[str, Any]:
    """Return the keys of a request for rows, for the path of a table, or for a grid. Raises `UsageError`."""
    if (rows is None) == (grid is None):
        raise UsageError("expected either rows or `grid`", remedy="pass one of them")
    if grid is not None:
        return {"grid": {name: list(values) for name, values in grid.items()}}
    if not isinstance(rows, str | os.PathLike):
        return {"rows": records_of(rows)}
    try:
        text = Path(rows).read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the table {str(rows)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        remedy = "export it as CSV in UTF-8"
        raise UsageError(f"the table {str(rows)!r} is not text in UTF-8", remedy=remedy) from error
    return {"table": text, "table_name": Path(rows).name}
