"""Files written by localrun 0.1.0, before its modules moved, are read and continued."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from localrun.app import App
from localrun.cli import main
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.settings import Settings
from localrun.task.record import TaskRecord

DATA = Path(__file__).parent / "data" / "home-0.1.0"
ORPHANED = "3b633ae5-5e6f-4286-bad0-8f74034f8b1e"  # its process died while the task was in the queue
MANUAL = "0aab0ca6-9581-4516-893a-015d47ecfbd3"  # created over HTTP, without a container
RECORDS = sorted(DATA.glob("home/tasks/*/task.json"))


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, which localrun uses."""
    folder = tmp_path / "old"
    shutil.copytree(DATA, folder)
    (folder / "journal").rename(folder / "logs")
    for name in ("home", "ledger.json", "logs", "cache"):
        monkeypatch.setenv(f"LOCALRUN_{name.partition('.')[0].upper()}", str(folder / name))
    return folder


def localrun(*arguments: str) -> str:
    with redirect_stdout(StringIO()) as printed:
        assert main(arguments) == 0
    return printed.getvalue()


def kept(new: Any, old: Any) -> Any:
    """Return what a record has of an older one: newer keys are optional."""
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: kept(value, old[key]) for key, value in new.items() if key in old}
    return new


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.parent.name[:8])
def test_every_key_of_a_record_is_kept(file: Path) -> None:
    old = json.loads(file.read_bytes())
    assert kept(json.loads(TaskRecord.from_json(file.read_bytes()).to_json()), old) == old


def test_every_field_that_a_record_can_have_is_kept() -> None:
    text = (DATA / "every-field.json").read_bytes()
    record, old = TaskRecord.from_json(text), json.loads(text)
    assert kept(json.loads(record.to_json()), old) == old
    assert kept(json.loads(json.dumps(record.as_dict())), old) == old


def test_old_tasks_are_listed_and_shown(old: Path) -> None:
    listed = {task["id"]: task for task in json.loads(localrun("list", "--json"))}
    written = {record["id"]: record for record in map(json.loads, (file.read_bytes() for file in RECORDS))}
    assert set(listed) == {task_id for task_id, record in written.items() if record["replica"] is None}
    for task_id in listed:
        shown = json.loads(localrun("status", task_id, "--json"))
        assert (shown["state"], shown["cause"]) == (written[task_id]["state"], written[task_id]["cause"])
        assert shown["outputs"] == written[task_id]["outputs"]
        localrun("info", task_id)
        localrun("describe", task_id)
    app = next(task_id for task_id, record in written.items() if record["bundle"] == "iexec-hello")
    assert "COMPLETED" in localrun("debug", app)


def test_an_old_journal_is_read(old: Path) -> None:
    text = localrun("events", "--json")
    events = [json.loads(line) for line in text.splitlines()]
    assert [event for event in events if event["event_type"] == "task_created"]
    assert all({"timestamp", "event_type", "data"} <= event.keys() for event in events)


def test_an_orphaned_old_task_is_run_to_its_end(old: Path) -> None:
    def add(container: FakeContainer) -> None:
        a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
        container.path("/outputs/sum").write_text(str(a + b))

    # its bundle is not on this machine: the image stands in for it
    file = old / "home/tasks" / ORPHANED / "task.json"
    record: dict[str, Any] = json.loads(file.read_bytes())
    record["plan"] |= {"bundle": str(file.with_name("descriptor.yml")), "image": "add:1", "pull": "never"}
    file.write_text(json.dumps(record))
    for name in ("outputs", "logs"):  # git does not store empty folders
        file.with_name(name).mkdir(exist_ok=True)
    engine = FakeEngine(add)
    engine.add_image("add:1")
    settings = Settings(home=old / "home", ledger=old / "ledger.json", cache=old / "cache", logs=old / "logs")
    app = App(settings, engine)
    try:
        app.recover()
        ended = app.wait(ORPHANED)
    finally:
        app.close()
    assert (ended.state, ended.cause, ended.outputs) == ("FINISHED", None, {"sum": 3})
    assert json.loads((old / "ledger.json").read_bytes()) == {}
    assert json.loads(localrun("status", MANUAL, "--json"))["state"] == "CREATED"
