from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from localrun.cli.signals import Interrupted, SignalHandler


def send(number: int = signal.SIGINT) -> None:
    """Send this process a signal and return after Python's handler has run."""
    os.kill(os.getpid(), number)


def interrupted(undone: list[bool]) -> None:
    """Interrupt a block, and interrupt its cleanup again."""
    try:
        send()
    finally:
        send()
        undone.append(True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_the_command_down_while_nothing_is_promised(number: signal.Signals) -> None:
    with SignalHandler() as signals, pytest.raises(Interrupted), signals.interruptible():
        send(number)


def test_what_is_undone_after_a_signal_is_not_interrupted_again() -> None:
    undone: list[bool] = []
    with SignalHandler() as signals, pytest.raises(Interrupted), signals.interruptible():
        interrupted(undone)
    assert undone


def test_a_signal_waits_for_what_must_not_be_torn() -> None:
    whole: list[bool] = []
    with (
        SignalHandler() as signals,
        pytest.raises(Interrupted),
        signals.interruptible(),
        signals.deferred(),
    ):
        interrupted(whole)
    assert whole == [True]


def test_a_signal_that_came_before_is_answered_on_entry() -> None:
    with SignalHandler() as signals:
        send()
        with pytest.raises(Interrupted), signals.interruptible():
            pytest.fail("the signal was forgotten")


def test_each_signal_stops_the_task_and_a_second_does_not_wait_for_the_first() -> None:
    second = threading.Event()
    seen: list[int] = []

    def stop(number: int) -> None:
        seen.append(number)
        if number == 2:
            second.set()
        assert second.wait(60)

    with SignalHandler() as signals, signals.on_signal(stop):
        send()
        send(signal.SIGTERM)
        assert second.wait(60)
    assert sorted(seen) == [1, 2]


def test_a_signal_that_raised_can_be_answered_by_stopping() -> None:
    seen: list[int] = []
    with SignalHandler() as signals:
        with pytest.raises(Interrupted), signals.interruptible():
            send()
        signals.requeue()
        with signals.on_signal(seen.append):
            pass
    assert seen == [1]


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with SignalHandler():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with SignalHandler() as signals, signals.interruptible():
            send(signal.SIGHUP)
        assert signals.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def _import_and_wait(name: str) -> None:
    importlib.import_module(name)
    while True:
        time.sleep(60)


def test_a_signal_during_an_import_waits_for_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"signalled_{os.getpid()}"
    source = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\nwhole = True\n"
    (tmp_path / f"{name}.py").write_text(source)
    with SignalHandler() as signals, pytest.raises(Interrupted), signals.interruptible():
        _import_and_wait(name)
    assert sys.modules[name].whole
    assert signals.count == 1
