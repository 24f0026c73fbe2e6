"""Batches in notebooks: small static HTML without scripts and style sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from localrun.console.results import value_text
from localrun.masking.redaction import Redactor
from localrun.report.page.markup import Markup, join, table, tag
from localrun.report.page.notebook import MAX_SIZE, format_state
from localrun.units import format_bytes, format_count, format_duration

if TYPE_CHECKING:
    from localrun.batch.handle import Batch
    from localrun.batch.results import ResultLine

_MAX_ROWS = 100
_MAX_VALUES = 12  # inputs or outputs of a row
_MAX_TEXT = 100  # characters of a value
_MAX_MESSAGE = 300  # characters


def batch_html(batch: Batch) -> str:
    """Return a batch with its progress and its first failed rows, in 200 KB at most."""
    record, total = batch.run.record, len(batch)
    failed = batch.failed
    head = join(
        tag("p", tag("strong", record.name[:_MAX_MESSAGE]), f" batch {record.short_id} {batch.status}"),
        tag("p", tag("progress", value=sum(batch.counts.values()), max=total), f" {batch.progress}"),
    )
    return _limited(head, failed, "rows that did not finish") if failed else tag("div", head)


def results_html(lines: Sequence[ResultLine]) -> str:
    """Return a table of results, in 200 KB at most."""
    return _limited(Markup(), lines, format_count(len(lines), "row"))


def _limited(head: Markup, lines: Sequence[ResultLine], caption: str) -> str:
    shown = min(len(lines), _MAX_ROWS)
    while True:
        more = len(lines) - shown
        found = tag(
            "div",
            head,
            _table(lines[:shown], caption) or (None if more else tag("p", "no rows")),
            tag("p", f"and {format_count(more, 'more row')}") if more else None,
        )
        if len(found.encode()) <= MAX_SIZE or not shown:
            return found
        shown //= 2


def _table(lines: Iterable[ResultLine], caption: str) -> Markup:
    redactor = Redactor()
    head = ("row", "state", "inputs", "outputs", "took", "memory", "reason")
    return table(head, (_row(line, redactor) for line in lines), caption)


def _row(line: ResultLine, redactor: Redactor) -> list[Markup | str | None]:
    reason = " ".join(filter(None, (line.cause, line.message)))
    return [
        tag("code", line.id),
        format_state(line.state),
        _values(redactor.redact(line.inputs)),
        _values(redactor.redact(line.outputs)),
        None if line.duration is None else format_duration(line.duration),
        None if line.peak_memory is None else format_bytes(line.peak_memory),
        redactor.redact_text(reason)[:_MAX_MESSAGE],
    ]


def _values(values: dict[str, Any]) -> str:
    shown = [f"{name}={_text(value)}" for name, value in list(values.items())[:_MAX_VALUES]]
    more = len(values) - len(shown)
    return ", ".join([*shown, f"and {more} more"] if more else shown)


def _text(value: Any) -> str:
    text = value_text(value if isinstance(value, str | int | float | bool | list | dict) else str(value))
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."
