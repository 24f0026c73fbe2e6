"""`list-files` and `tail`: the files of ended and running tasks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from tests.cli.command import Command, add
from tests.support.environment import IMAGE


def leave(container: FakeContainer) -> int:
    outputs = container.path("/outputs")
    (outputs / "many").write_text("".join(f"{n}\n" for n in range(100)))
    (outputs / "folder").mkdir()
    (outputs / "folder/\x1b[2Jred").write_text("1")
    (outputs / "secret").symlink_to("/etc/hostname")
    return add(container)


@contextmanager
def writing(localrun: Command, *, shares_files: bool = True) -> Iterator[tuple[App, ActiveTask]]:
    """Run a task that writes files and then waits until it is stopped."""
    written, running, said = threading.Event(), threading.Event(), threading.Event()

    def listen(event: Event) -> None:
        if event.data.get("state") == "RUNNING":
            running.set()
        if event.kind == "log":
            said.set()

    def program(container: FakeContainer) -> int:
        container.path("/outputs/log.txt").write_text("one\ntwo\n")
        container.stdout.write("said\n")
        written.set()
        container.stopped.wait(60)
        with container.path("/outputs/log.txt").open("a") as log:
            log.write("three\n")
        return 1

    engine = FakeEngine(program, shares_files=shares_files)
    engine.add_image(IMAGE)
    folder = localrun.folder
    ledger = folder / "ledger" / "l.json"
    app = App(Settings(home=folder / "home", cache=folder / "cache", ledger=ledger), engine)
    request = Request(localrun.bundle, image=IMAGE, pull="never", values={"a": 1, "b": 2})
    task = app.manager.submit(request, listen)
    try:
        assert all(one.wait(60) for one in (written, running, said))
        yield app, task
    finally:
        app.close()


# -- list-files ---------------------------------------------------------------------------------------


def test_files_are_listed_with_size_and_time_and_links_as_links(localrun: Command) -> None:
    localrun.program = leave
    localrun.run()
    result = localrun("list-files", "last")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["SIZE", "WRITTEN", "FILE"]
    assert [line[-1] for line in lines[1:3]] == ["folder/", "folder/\\x1b[2Jred"]
    assert [line[:2] for line in lines if line[-1] == "many"] == [["290", "B"]]
    assert any(line[-5:] == ["secret", "->", "/etc/hostname", "(a", "link)"] for line in lines)


def test_files_are_listed_as_one_json_record(localrun: Command) -> None:
    localrun.program = leave
    localrun.run()
    found = localrun("list-files", "last", "--json").json
    by_path = {file["path"]: file for file in found["files"]}
    assert (by_path["many"]["kind"], by_path["many"]["size"]) == ("file", 290)
    assert (by_path["secret"]["kind"], by_path["secret"]["target"]) == ("link", "/etc/hostname")
    assert (found["state"], found["complete"], found["size"]) == ("FINISHED", True, 292)


def test_inputs_and_logs_are_listed_on_request(localrun: Command) -> None:
    localrun.run()
    found = localrun("list-files", "last", "--all", "--json").json
    paths = [file["path"] for file in found["files"]]
    assert paths == ["inputs/a", "inputs/b", "outputs/sum", "logs/task.log", "logs/task.times"]


def test_what_a_running_task_has_written_is_listed(localrun: Command) -> None:
    with writing(localrun):
        found = localrun("list-files", "last", "--json").json
    assert (found["state"], [file["path"] for file in found["files"]]) == ("RUNNING", ["log.txt"])


def test_a_task_that_wrote_no_file_says_so(localrun: Command) -> None:
    localrun.program = lambda _: 0
    localrun.run()
    result = localrun("list-files", "last")
    assert (result.code, result.out) == (0, "")
    assert "has written no files\n" in result.err


def test_a_list_that_is_cut_says_so(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    localrun.program = leave
    localrun.run()
    monkeypatch.setattr("localrun.values.listing.list_folder.__defaults__", (2,))
    assert "only 2 files are listed; all files are in " in localrun("list-files", "last").err
    assert localrun("list-files", "last", "--json").json["complete"] is False


def test_of_an_engine_that_shares_no_files_is_said_what_can_be_had(localrun: Command) -> None:
    with writing(localrun, shares_files=False) as (app, task):
        result = localrun("list-files", "last")
        assert "runs on a remote engine: its files are available after it ends" in result.err
        assert localrun("list-files", "last", "--json").json["complete"] is False
        app.manager.kill(task, 0)
        app.manager.wait(task)
    assert [file["path"] for file in localrun("list-files", "last", "--json").json["files"]] == ["log.txt"]


# -- tail ---------------------------------------------------------------------------------------------


def test_the_ends_of_files_are_shown(localrun: Command) -> None:
    localrun.program = leave
    localrun.run()
    assert localrun("tail", "last", "many", "-n", "2").out == "98\n99\n"
    assert len(localrun("tail", "last", "many").out.splitlines()) == 10
    assert localrun("tail", "last", "many", "sum", "-n", "1").out == "==> many <==\n99\n==> sum <==\n7"


def test_without_a_file_the_log_is_meant(localrun: Command) -> None:
    localrun.run()
    assert localrun("tail", "last").out == "3 + 4\n"


def test_files_are_shown_as_one_json_record(localrun: Command) -> None:
    localrun.program = leave
    localrun.run()
    found = localrun("tail", "last", "many", "sum", "-n", "1", "--json").json
    assert found["files"] == [{"name": "many", "text": "99\n"}, {"name": "sum", "text": "7"}]
    assert localrun("tail", "last", "--json").json["files"] == [{"name": "task.log", "text": "3 + 4\n"}]


def test_a_running_task_is_shown_too(localrun: Command) -> None:
    with writing(localrun):
        assert localrun("tail", "last", "log.txt", "-n", "1").out == "two\n"
        assert localrun("tail", "last").out == "said\n"


def test_what_is_added_is_shown_until_the_task_has_ended(localrun: Command) -> None:
    with writing(localrun) as (app, task):
        stopper = threading.Timer(0.05, app.manager.kill, (task,))
        stopper.start()
        result = localrun("tail", "last", "log.txt", "-f")
        stopper.join()
    assert (result.code, result.out) == (0, "one\ntwo\nthree\n")


def test_following_for_json_waits_for_the_end(localrun: Command) -> None:
    with writing(localrun) as (app, task):
        stopper = threading.Timer(0.05, app.manager.kill, (task,))
        stopper.start()
        found = localrun("tail", "last", "log.txt", "-f", "--json").json
        stopper.join()
    assert found == {
        "id": task.id,
        "state": "KILLED",
        "files": [{"name": "log.txt", "text": "one\ntwo\nthree\n"}],
    }


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_files_that_are_not_there_are_told_all_at_once(localrun: Command, json: tuple[str, ...]) -> None:
    localrun.program = leave
    localrun.run()
    result = localrun("tail", "last", "mani", "none", *json)
    assert result.code == 2
    assert "mani: not found; did you mean 'many'?" in result.err
    assert "none: not found; expected one of: " in result.err


@pytest.mark.parametrize("name", ["secret", "../task.json", "/etc/hostname", "folder"])
def test_nothing_outside_of_the_output_folder_is_shown(localrun: Command, name: str) -> None:
    localrun.program = leave
    localrun.run()
    result = localrun("tail", "last", name)
    assert (result.code, result.out) == (2, "")


def test_a_file_of_an_engine_that_shares_no_files_is_refused_with_what_can_be_had(localrun: Command) -> None:
    with writing(localrun, shares_files=False):
        result = localrun("tail", "last", "log.txt")
        assert (result.code, "are available after it ends" in result.err) == (2, True)
        assert localrun("tail", "last").out == "said\n"


def test_a_task_without_a_container_has_no_files(localrun: Command) -> None:
    app = localrun.app(Settings(home=localrun.folder / "home"))
    app.manager.create_task({"any": "thing"})
    app.close()
    assert localrun("tail", "last").out == ""
    assert localrun("tail", "last", "x").code == 2
    assert localrun("list-files", "last", "--json").json["files"] == []
