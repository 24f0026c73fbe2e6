from __future__ import annotations

import io
import re
import threading
from typing import Any

from localrun.console.display.terminal import Phase, TerminalDisplay
from localrun.task.events import Event

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("none")


def state(word: str) -> tuple[str, str, dict[str, Any]]:
    return ("state", word, {"state": word, "cause": None})


def step(word: str, status: str, seconds: float | None = None) -> tuple[str, str, dict[str, Any]]:
    return ("step", "", {"step": word, "status": status, "seconds": seconds, "how": ""})


def shown(*events: tuple[str, str, dict[str, Any]], unicode: bool = True) -> str:
    stream = Terminal()
    display = TerminalDisplay(stream, unicode=unicode)
    display.start("add.zip")
    for kind, message, data in events:
        display.show(Event(kind, "0123456789", message, data))
    display.finish()
    return CONTROLS.sub("", stream.getvalue())


RUN = (
    state("PENDING"),
    step("permissions", "started"),
    step("permissions", "finished", 0.002),
    step("task", "started"),
    ("log", "", {"stream": "stdout", "text": "hello\n\x1b]0;title\x07\n"}),
)


def test_steps_have_durations_and_task_output_is_marked() -> None:
    text = shown(*RUN, step("task", "failed", 1.25))
    assert re.search(r"✓ image +\d+ ms", text)
    assert re.search(r"✓ permissions +2 ms", text)
    assert "│ hello" in text
    assert re.search(r"✗ task +1.2 s", text)


def test_task_output_cannot_control_the_terminal() -> None:
    assert "│ \\x1b]0;title\\x07" in shown(*RUN)


def test_without_unicode_only_ascii_is_drawn() -> None:
    assert shown(*RUN, step("task", "failed", 1.25), unicode=False).isascii()


def test_a_failed_image_is_shown_as_the_failed_phase() -> None:
    assert "✗ image" in shown(state("PENDING"), state("FAILED"))


def test_bytes_are_shown_as_a_bar() -> None:
    from rich.console import Console

    phase = Phase("dots")
    phase.show_progress("loading image", 512 * 1024**2, 1024**3)
    console = Console(file=io.StringIO(), width=100)
    console.print(phase)
    assert isinstance(console.file, io.StringIO)
    assert "━" * 10 in console.file.getvalue()
    assert "512 MiB of 1 GiB" in console.file.getvalue()


def test_no_thread_is_left_after_finish() -> None:
    before = set(threading.enumerate())
    shown(*RUN)
    more = set(threading.enumerate()) - before
    for thread in more:
        thread.join(60)
    assert [thread for thread in more if thread.is_alive()] == []


def test_the_duration_of_an_image_comes_from_the_event_times() -> None:
    stream = Terminal()
    display = TerminalDisplay(stream)
    display.start("add.zip")
    for seconds, (kind, message, data) in zip(
        (1.0, 3.5), (state("PENDING"), step("permissions", "started")), strict=True
    ):
        display.show(Event(kind, "0123456789", message, data, time=seconds))
    display.finish()
    assert re.search(r"✓ image +2.5 s", CONTROLS.sub("", stream.getvalue()))


def log(text: str) -> Event:
    return Event("log", "0123456789", "", {"stream": "stdout", "text": text})


def test_a_prompt_is_shown_live() -> None:
    stream = Terminal()
    display = TerminalDisplay(stream)
    display.start("add.zip")
    display.show(log("10 %\rPassword: \x07"))
    display._live.refresh()
    shown = CONTROLS.sub("", stream.getvalue())
    display.finish()
    assert "│ Password: \\x07" in shown
    assert "10 %" not in shown


def test_a_flood_of_output_shows_its_last_lines_and_the_number_of_the_others() -> None:
    stream = Terminal()
    display = TerminalDisplay(stream)
    display.start("add.zip")
    for number in range(100):
        display.show(log("".join(f"line {number}-{line}\n" for line in range(1000))))
    display.finish()
    text = CONTROLS.sub("", stream.getvalue())
    lines = [line for line in text.splitlines() if "│ line" in line]
    omitted = sum(int(found) for found in re.findall(r"│ (\d+) lines not shown", text))
    assert lines[-1].endswith("line 99-999")
    assert len(lines) + omitted == 100_000
    assert len(lines) < 50_000
