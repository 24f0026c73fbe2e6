"""`localrun run --watch`: a task is run again when its files change."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from localrun.cli import run_watch
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeContainer
from tests.cli.command import Command, add
from tests.support.busybox_image import busybox_image
from tests.support.environment import DESCRIPTOR
from tests.support.terminal import on_terminal

# -- what is noticed -----------------------------------------------------------------------------


def noticed(found: Iterator[set[Path]], change: Callable[[], object]) -> set[Path]:
    """Return the reported paths; the change is repeated until the watcher, which starts late, notices it."""
    stop = threading.Event()

    def repeat() -> None:
        change()
        while not stop.wait(0.3):
            change()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        return next(found)
    finally:
        stop.set()
        thread.join()


def replace(path: Path, text: str = "new") -> None:
    """Write a file as editors do: another file takes its name."""
    other = path.with_name(f"{path.name}.new{secrets.token_hex(4)}")
    other.write_text(text)
    other.replace(path)


def test_changes_below_a_folder_are_noticed_except_those_of_tools_and_ignored_ones(tmp_path: Path) -> None:
    for name in ("program", "__pycache__", ".localrun", ".git"):
        (tmp_path / name).mkdir()

    def change() -> None:
        for name in ("__pycache__/main.pyc", ".localrun/task.json", ".git/index", "program/main.py"):
            (tmp_path / name).write_text(secrets.token_hex(8))

    with run_watch.changes([tmp_path], [], [tmp_path / ".localrun"]) as found:
        assert noticed(found, change) == {tmp_path / "program/main.py"}


def test_a_single_file_is_noticed_also_if_another_takes_its_name(tmp_path: Path) -> None:
    file = tmp_path / "descriptor.yml"
    file.write_text("old")

    def change() -> None:
        (tmp_path / "other.yml").write_text("other")
        replace(file)

    with run_watch.changes([], [file]) as found:
        assert noticed(found, change) == {file}


def test_a_file_that_exists_for_a_moment_only_is_no_change(tmp_path: Path) -> None:
    def change() -> None:
        passing = tmp_path / f"4913{secrets.token_hex(4)}"
        passing.write_text("")
        passing.unlink()
        replace(tmp_path / "main.py")

    with run_watch.changes([tmp_path], []) as found:
        assert noticed(found, change) == {tmp_path / "main.py"}


# -- what is done -----------------------------------------------------------------------------------


@pytest.fixture
def edits(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Changes that happen one after the other while the command waits; Ctrl+C follows. The first is free."""
    planned: list[Callable[[], object]] = []
    monkeypatch.setattr(run_watch, "changes", lambda *places: _planned(planned, places))
    return planned


@contextmanager
def _planned(edits: list[Callable[[], object]], places: Sequence[object]) -> Iterator[Iterator[set[Path]]]:
    def each() -> Iterator[set[Path]]:
        for edit in edits:
            edit()
            yield {Path("program/main.py").absolute()}
        raise KeyboardInterrupt

    yield each()


def test_each_run_shows_in_what_it_differs_from_the_one_before(
    localrun: Command, edits: list[Callable[[], object]]
) -> None:
    def double(container: FakeContainer) -> int:
        add(container)
        path = container.path("/outputs/sum")
        path.write_text(str(2 * int(path.read_text())))
        return 0

    def switch() -> None:
        localrun.program = double

    edits += [lambda: None, switch]
    result = localrun.run("--watch", "-q")
    assert (result.code, result.out.splitlines()[0]) == (130, "sum: 7")
    same, different = result.out.split("no difference to the run before, ")[1].split(
        "\ndifference to the run"
    )
    assert "sum: 14" in same
    assert different.splitlines()[1:] == ["outputs:", "  sum: 7 -> 14"]
    assert result.err.count("changed: program/main.py\n") == 2
    assert len(localrun("list", "--json").json) == 3


def test_a_bundle_that_is_invalid_for_a_while_does_not_end_the_watch(
    localrun: Command, edits: list[Callable[[], object]]
) -> None:
    text = localrun.bundle.read_text()
    edits += [lambda: localrun.bundle.write_text("inputs: ["), lambda: localrun.bundle.write_text(text)]
    result = localrun.run("--watch", "-q")
    assert (result.code, result.out.count("sum: 7")) == (130, 2)
    assert "error: " in result.err
    assert "no difference to the run before" in result.out


def test_what_is_watched_is_what_the_task_is_made_of(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sequence[object]] = []

    @contextmanager
    def look(*places: object) -> Iterator[Iterator[set[Path]]]:
        seen.append(places)
        yield _raise()

    monkeypatch.setattr(run_watch, "changes", look)
    folder = localrun.folder
    for name in ("source", "scratch", "context"):
        (folder / name).mkdir()
    (folder / "values.json").write_text('{"a": 1, "b": 2}')
    options = ("--mount", f"{folder}/source:/app", "--mount", f"{folder}/scratch:/tmp/x:rw")
    localrun.run("--watch", "--inputs", folder / "values.json", *options, "-o", folder / "copy")
    assert seen == [
        (
            [folder / "source"],
            [folder / "descriptor.yml", folder / "values.json"],
            [folder / "home", folder / "copy", folder / "scratch"],
        )
    ]


def _raise() -> Iterator[set[Path]]:
    raise KeyboardInterrupt
    yield


@pytest.mark.parametrize("option", ["--json", "-d", "--shell-on-failure", "--remote=http://127.0.0.1:1"])
def test_options_that_cannot_be_repeated_are_refused(localrun: Command, option: str) -> None:
    result = localrun.run("--watch", option)
    assert (result.code, "exclude each other" in result.err) == (2, True)


def test_an_image_has_no_files_to_watch(localrun: Command) -> None:
    result = localrun("run", "--watch", "--profile", "iexec", "localrun-test/none:1")
    assert (result.code, "is not a file or folder to watch" in result.err) == (2, True)


@pytest.mark.docker
def test_ctrl_c_ends_the_watch_on_a_terminal(docker_engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "program").mkdir()
    (tmp_path / "program/main.sh").write_text("echo 7 > /outputs/sum")
    places = {"LOCALRUN_HOME": "home", "LOCALRUN_CACHE": "cache", "LOCALRUN_LEDGER": "ledger/l.json"}
    env = {key: str(tmp_path / place) for key, place in places.items()}
    arguments = ("descriptor.yml", "-i", "a=1", "-i", "b=2", "--mount", "program:/app", "--image")
    with (
        busybox_image(docker_engine, "sh", "/app/main.sh") as name,
        on_terminal("run", "--watch", *arguments, name, cwd=tmp_path, env=env) as terminal,
    ):
        terminal.until("Ctrl+C ends this")
        replace(tmp_path / "program/main.sh", "echo 8 > /outputs/sum")
        terminal.until("sum: 7 -> 8")
        terminal.until("Ctrl+C ends this")
        os.kill(terminal.process.pid, 2)
        assert terminal.wait() == 130
