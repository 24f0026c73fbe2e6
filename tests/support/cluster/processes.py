"""Processes in namespaces: started, found, waited for and ended by their ids."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

DEADLINE = 600  # seconds: the machine may be busy


def wait_until(condition: Callable[[], object], what: str | Callable[[], str]) -> None:
    """Wait for a condition. Raises AssertionError after `DEADLINE` seconds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {DEADLINE} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.1)


def enter(pid: int, *namespaces: str) -> list[str]:
    """Return the prefix of a command in namespaces of a process. It is killed if this process dies."""
    options = [f"--{name}=/proc/{pid}/ns/{'mnt' if name == 'mount' else name}" for name in namespaces]
    return ["setpriv", "--pdeathsig=KILL", "nsenter", *options]


def below(pid: int, *words: str) -> list[psutil.Process]:
    """Return the processes below a process with these words in their command line, parents first."""
    found = []
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for child in children:
        try:
            if set(words) <= set(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


class Command:
    """A running command in namespaces, with its output in a file."""

    def __init__(
        self, prefix: Sequence[str], command: Sequence[str], log: Path, env: Mapping[str, str], cwd: Path
    ) -> None:
        self.log = log
        self.forks = any(option.startswith("--pid=") for option in prefix)
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [*prefix, *command],
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )

    @property
    def printed(self) -> str:
        """What the command has printed."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The id of the command itself. It is a child of `nsenter` in another PID namespace."""
        if not self.forks:
            return self.process.pid
        wait_until(lambda: below(self.process.pid), "the command starts")
        return below(self.process.pid)[0].pid

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, text: str) -> None:
        """Wait until the command has printed a text."""

        def is_printed() -> bool:
            running = self.is_running
            found = text in self.printed
            assert found or running, self.printed[-5000:]
            return found

        wait_until(is_printed, lambda: f"{text!r} in\n{self.printed[-5000:]}")

    def wait(self) -> int:
        """Wait for the end of the command and return its exit code."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {DEADLINE} s:\n{self.printed[-5000:]}") from None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command itself."""
        psutil.Process(self.pid).send_signal(number)

    def kill(self) -> None:
        """Kill the command and all processes below it at once."""
        if self.is_running:
            processes = [*below(self.process.pid), psutil.Process(self.process.pid)]
            for process in processes:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
        self.process.wait(DEADLINE)

    def stop(self) -> None:
        """Let the command end, or kill it if it does not."""
        try:
            if self.is_running:
                self.send(signal.SIGTERM)
            self.process.wait(30)
        except (subprocess.TimeoutExpired, psutil.NoSuchProcess):
            self.kill()
