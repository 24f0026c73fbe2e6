"""The progress of a batch."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from localrun.console import batch as module
from localrun.console.batch import BatchCounts, BatchProgress, progress_line
from tests.support.waiting import until

TERMINAL = {"TERM": "xterm"}


class Terminal(io.StringIO):
    """A terminal without a size."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("counts", "rate", "line"),
    [
        (BatchCounts(500, {}, {}), 0.0, "0/500 rows"),
        (
            BatchCounts(500, {"FAILED": 2, "FINISHED": 10}, {"RUNNING": 8, "QUEUING": 3}),
            3.14,
            "12/500 rows, 10 FINISHED, 2 FAILED, 3 QUEUING, 8 RUNNING, 3.1 rows/s, 2 min 35 s left",
        ),
        (
            BatchCounts(9, {}, {"RUNNING": 6, "QUEUING": 3}, {"node2": 4, "node\x1b1": 2}),
            0.0,
            "0/9 rows, 3 QUEUING, 6 RUNNING (node\\x1b1 2, node2 4)",
        ),
        (
            BatchCounts(9, {}, {"RUNNING": 5}, {f"n{number}": 1 for number in range(5)}),
            0.0,
            "0/9 rows, 5 RUNNING (on 5 nodes)",
        ),
        (
            BatchCounts(10_000, {"FINISHED": 9_999}, {"RUNNING": 1}),
            812.3,
            "9,999/10,000 rows, 9,999 FINISHED, 1 RUNNING, 812 rows/s, 1 ms left",
        ),
    ],
)
def test_the_line_has_counts_per_state_the_rate_and_the_remaining_time(
    counts: BatchCounts, rate: float, line: str
) -> None:
    assert progress_line(counts, rate) == line
    assert progress_line(counts, rate, ended=True) == re.sub(r", [^,]* left$", "", line)


def shown(stream: io.StringIO, environ: dict[str, str], failures: int = 1, *, quiet: bool = False) -> str:
    progress = BatchProgress(stream, environ, quiet=quiet)
    progress.notify("resuming")
    ended: dict[str, int] = {"FINISHED": 1}
    with progress.of(lambda: BatchCounts(40, dict(ended), {})):
        progress.show(True, "0001", None, "")
        for number in range(failures):
            ended["FAILED"] = number + 1
            progress.show(False, f"{number + 2:04d}", "EXIT_NONZERO", "the task failed\nwith exit code 1")
    return stream.getvalue()


def test_without_a_terminal_each_line_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REFRESH", {False: 0.01})
    stream = io.StringIO()
    progress = BatchProgress(stream, {}, quiet=False)
    progress.notify("resuming")
    with progress.of(lambda: BatchCounts(40, {"FAILED": 1}, {"RUNNING": 2})):
        progress.show(False, "0002", "EXIT_NONZERO", "the task failed\nwith exit code 1")
        until(lambda: "RUNNING" in stream.getvalue())
    lines = stream.getvalue().splitlines()
    assert lines[0] == "resuming"
    assert "row 0002: EXIT_NONZERO: the task failed with exit code 1" in lines
    assert lines[-1].startswith("1/40 rows, 1 FAILED, 2 RUNNING")
    assert not lines[-1].endswith("left")


def test_the_rate_counts_from_the_start_of_the_first_row(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "_POLL", 0.01)
    stream = io.StringIO()
    progress = BatchProgress(stream, {}, quiet=False)
    with progress.of(lambda: BatchCounts(2, {"FINISHED": 2}, {"RUNNING": 2})):
        until(lambda: progress._ends)
        now = 4.0
        progress.show(True, "0001", None, "")
        progress.show(True, "0002", None, "")
    assert stream.getvalue().endswith("0.5 rows/s\n")


def test_on_a_terminal_the_line_is_rewritten_below_the_failures() -> None:
    *lines, last = shown(Terminal(), TERMINAL).split("\n")
    assert lines[1].endswith("row 0002: EXIT_NONZERO: the task failed with exit code 1")
    assert last == ""
    assert lines[-1].rpartition("\r\x1b[K")[2].startswith("2/40 rows, 1 FINISHED, 1 FAILED")


def test_many_failures_do_not_flood_the_output() -> None:
    lines = shown(io.StringIO(), {}, failures=30).splitlines()
    assert sum(line.startswith("row ") for line in lines) == 20
    assert "further failures are in the table of results" in lines


def test_control_characters_of_messages_and_notes_are_escaped() -> None:
    stream = io.StringIO()
    progress = BatchProgress(stream, {}, quiet=False)
    progress.show(False, "0001", "EXIT_NONZERO", "\x1b[31mred")
    progress.notify("row 0001: a\x1bc was not copied: it is a pipe")
    assert "\x1b" not in stream.getvalue()


def test_quiet_shows_nothing() -> None:
    assert shown(Terminal(), TERMINAL, quiet=True) == ""


def test_an_error_before_the_first_row_is_not_followed_by_a_count_of_rows() -> None:
    stream = io.StringIO()
    progress = BatchProgress(stream, {}, quiet=False)
    with pytest.raises(OSError), progress.of(lambda: BatchCounts(2, {}, {})):
        raise OSError
    assert stream.getvalue() == ""
