"""Takes over the results of an earlier run of a batch, whose rows may have changed since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from localrun import fs
from localrun.batch.backend import RowResult
from localrun.batch.delivery import Notify, OutputFolder
from localrun.batch.results import ResultLine, ResultTable, read_lines
from localrun.batch.rows import Row
from localrun.manager.replicas import rebase_paths
from localrun.undecodable import encode_record
from localrun.units import format_count

_SHARED = {  # what all rows share -> its name for people
    "descriptor": "the descriptor",
    "image": "the image",
    "bind_mounts": "--mount",
    "network": "network access",
    "gpus": "--gpus",
}


class EarlierRun(msgspec.Struct, kw_only=True):
    """What remains of an earlier run: the rows that have ended, and their number by state.

    `repeated` is the number of failed rows that run again, `dropped` that of results whose rows are gone.
    """

    done: set[int] = msgspec.field(default_factory=set)
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    repeated: int = 0
    dropped: int = 0


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """How to take over the results in `table`.

    Results of rows that are gone are appended to the file `dropped`. Failed rows are not taken over if
    `rerun_failed`. `before` is the folder of outputs as the earlier run wrote it in the results. The outputs
    of all rows are copied to `output` if it is a `new_output`.
    """

    table: ResultTable
    dropped: Path
    name_of: Callable[[Row], str]
    notify: Notify
    rerun_failed: bool = False
    output: OutputFolder | None = None
    before: str = ""
    new_output: bool = False

    def merge(self, rows: Iterable[Row]) -> EarlierRun:
        """Write the table again, with the results of the given rows only. The rows have digests."""
        numbers = {row.key: (row.number, self.name_of(row)) for row in rows if row.digest}
        found = EarlierRun()
        if self.output is not None:  # of a run that was killed in between
            self.output.put_back(((line.id, line.key) for line in self._lines()), self.notify)
        self.table.replace(self._kept(numbers, found))
        if self.output is not None:
            self.output.put_back(((line.id, line.key) for line in self._lines()), self.notify)
        return found

    def _lines(self) -> Iterator[ResultLine]:
        try:
            yield from read_lines(self.table.path, self.notify)
        except FileNotFoundError:
            return

    def _kept(
        self, numbers: Mapping[tuple[str, int], tuple[int, str]], found: EarlierRun
    ) -> Iterator[ResultLine]:
        for line in self._lines():
            number, name = numbers.get(line.key, (0, ""))
            if not line.digest or number in found.done:  # an invalid row, which is checked again
                continue
            if not number:
                self._drop(line)
                found.dropped += 1
            elif self.rerun_failed and not line.is_finished:
                found.repeated += 1
            else:
                found.done.add(number)
                found.counts[line.state] += 1
                yield self._moved(line, number, name)

    def _drop(self, line: ResultLine) -> None:
        with fs.wrap_os_errors(self.dropped.parent):
            fs.append_line(str(self.dropped), encode_record(line) + b"\n")

    def _moved(self, line: ResultLine, number: int, name: str) -> ResultLine:
        """Return a result under the current number and name of its row, with its outputs moved there."""
        if self.output is None:
            return msgspec.structs.replace(line, row=number, id=name)
        if self.new_output:
            row = Row(number, {})
            result = RowResult(row, line.state, task=line.task, outputs=line.outputs)
            outputs = dict(self.output.deliver(result, name, self.notify).outputs)
        else:
            if line.id != name:
                self.output.set_aside(line.id, line.key)
            old, new = Path(self.before, line.id), self.output.path / name
            outputs = rebase_paths(line.outputs, old, new)
        return msgspec.structs.replace(line, row=number, id=name, outputs=outputs)


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return what all rows share and has changed, for people."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    return [_SHARED.get(name, f"--{name.replace('_', '-')}") for name in changed]


def resumed(batch: str, found: EarlierRun, total: int, changed: list[str], dropped: Path) -> list[str]:
    """Return the notes at the start of a resumed batch."""
    notes = [f"resuming batch {batch}: {len(found.done):,} of {total:,} rows have ended"]
    if found.repeated:
        notes[0] += f", {format_count(found.repeated, 'failed row')} to run again"
    if changed:
        notes.append(f"all rows run again, because this has changed: {', '.join(changed)}")
    if found.dropped:
        results = format_count(found.dropped, "result")
        source = "an earlier run" if changed else "rows that are no longer in the batch"
        notes.append(f"{results} of {source} moved to {dropped}")
    return notes
