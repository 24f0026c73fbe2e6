"""The options of a batch."""

from __future__ import annotations

from pathlib import Path

import msgspec

from localrun.errors import UsageError

_FORMATS = (".csv", ".jsonl")


class BatchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a batch runs.

    `results` is the table of results, as CSV or JSON Lines; None: in `output`, or else in the batch's own
    folder. `output` gets the files, in a folder for each row; with `in_image`, geometries are moved from a
    crop into the whole image. With `resume`, the rows that have ended are not repeated, except failed ones
    with `rerun_failed`. With `skip_invalid`, invalid rows end as FAILED instead of keeping all rows from
    running. `batch` is the id of the batch to resume or to create; empty: that with these results, or a new
    one.
    """

    output: Path | None = None
    results: Path | None = None
    resume: bool = False
    rerun_failed: bool = False
    skip_invalid: bool = False
    in_image: bool = False
    batch: str = ""

    @property
    def table(self) -> Path | None:
        """The JSON Lines of the results; None: in the batch's own folder. Raises `UsageError`."""
        if self.results is None:
            return None if self.output is None else (self.output / "results.jsonl").absolute()
        if self.results.suffix.lower() not in _FORMATS:
            message = f"results must be a .csv or .jsonl file, found {str(self.results)!r}"
            raise UsageError(message, remedy="pass e.g. results.csv; both formats are written")
        return self.results.absolute().with_suffix(".jsonl")

    @property
    def tables_in_output(self) -> tuple[str, ...]:
        """The names of the tables that lie between the folders of the rows."""
        table = self.table
        if self.output is None or table is None or table.parent != self.output.absolute():
            return ()
        return table.name, table.with_suffix(".csv").name
