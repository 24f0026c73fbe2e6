from __future__ import annotations

import io
import itertools
import time
from typing import Any

import pytest

from localrun.console.display.plain import PlainDisplay, ProgressLines
from localrun.task.events import Event


def shown(*events: tuple[str, str, dict[str, Any]]) -> list[str]:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.start("bundle")
    for kind, message, data in events:
        display.show(Event(kind, "0123456789", message, data))
    display.finish()
    return stream.getvalue().splitlines()


def progress(done: int, total: int | None) -> tuple[str, str, dict[str, Any]]:
    return ("progress", "loading image", {"what": "loading image", "done": done, "total": total})


def test_every_line_names_the_task_and_its_kind() -> None:
    assert shown(
        ("state", "RUNNING", {"state": "RUNNING", "cause": None}),
        ("log", "", {"stream": "stdout", "text": "one\ntw"}),
        ("log", "", {"stream": "stderr", "text": "oops\n"}),
        ("log", "", {"stream": "stdout", "text": "o\n"}),
        ("step", "", {"step": "task", "status": "finished", "seconds": 1.5, "how": "container"}),
        ("warning", "strange", {}),
    ) == [
        "[01234567] state RUNNING",
        "[01234567] out | one",
        "[01234567] err | oops",
        "[01234567] out | two",
        "[01234567] step task finished (1.5 s; container)",
        "[01234567] warning strange",
    ]


def test_an_incomplete_last_line_precedes_the_end_of_its_step() -> None:
    assert shown(
        ("log", "", {"stream": "stderr", "text": "half"}),
        ("step", "", {"step": "task", "status": "failed", "seconds": None}),
    ) == ["[01234567] err | half", "[01234567] step task failed"]


def test_progress_is_reported_in_steps_of_ten_percent() -> None:
    lines = shown(*(progress(done, 10_000) for done in range(0, 10_001, 7)), progress(10_000, 10_000))
    assert lines[0] == "[01234567] progress loading image: 0 % of 9.8 KiB"
    assert lines[-1].endswith("100 % of 9.8 KiB")
    assert len(lines) == 11


def test_progress_of_unknown_length_is_reported_once() -> None:
    assert shown(progress(5, None), progress(6, None)) == ["[01234567] progress loading image"]


def test_task_output_cannot_forge_a_display_line() -> None:
    assert shown(("log", "", {"stream": "stdout", "text": "a\r[01234567] state FINISHED\n"})) == [
        "[01234567] out | [01234567] state FINISHED"
    ]


def log(text: str) -> Event:
    return Event("log", "0123456789", "", {"stream": "stdout", "text": text})


def test_a_growing_line_is_shown_while_it_grows_and_once_when_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a clock, and a display that is refreshed ten times a second
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    display = PlainDisplay(stream)

    def wait(seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            now[0] += 0.1
            display.refresh()

    # When a prompt waits, and a progress bar is drawn in place
    display.show(log("Password: "))
    wait(0.3)
    assert stream.getvalue() == ""
    wait(5)
    display.show(log("\n"))
    for percent in range(101):
        display.show(log(f"\r{percent} %"))
        wait(0.1)
    display.show(log("\ndone\n"))

    # Then the prompt is shown once, the bar about once per second, and its end
    prompt, *bar, last, done = stream.getvalue().splitlines()
    assert prompt == "[01234567] out | Password: "
    assert 8 <= len(bar) <= 11
    assert (last, done) == ("[01234567] out | 100 %", "[01234567] out | done")


def test_a_long_operation_is_reported_again_with_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a clock that advances by a second per look
    clock = itertools.count(1000.0)
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    lines = ProgressLines()

    # When 100 MiB a second are loaded, of an unknown and of a known total
    unknown = [line for done in range(25) for line in lines.update("saving", done * 100 * 1024**2, None)]
    total = 25_600 * 1024**2
    known = [line for done in range(25) for line in lines.update("loading", done * 100 * 1024**2, total)]

    # Then there is a line every ten seconds
    assert unknown == ["saving", "saving: 1000 MiB, 100 MiB/s", "saving: 2 GiB, 100 MiB/s"]
    assert known[0] == "loading: 0 % of 25 GiB"
    assert known[1] == "loading: 0 % of 25 GiB, 100 MiB/s, 4 min 6 s left"
