"""The journal: every event is a whole line in the right files, even after crashes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from localrun.errors import LocalrunError
from localrun.server.journal import Journal

WRITER = """
import sys
from pathlib import Path
from localrun.server.journal import Journal

journal = Journal(Path(sys.argv[1]), max_bytes=20_000, keep=500)
for number in range(500):
    journal.emit("task_created", data={"task_id": f"{sys.argv[2]}-{number}", "text": "x" * (number % 200)})
"""

ENDLESS = """
import sys
from pathlib import Path
from localrun.server.journal import Journal

journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    journal.emit("error", data={"error": "x" * 5000, "number": number})
    number += 1
    if number == 5:
        print("going", flush=True)
"""

FULL = """
import resource
import sys
from pathlib import Path
from localrun.server.journal import Journal

journal = Journal(Path(sys.argv[1]))
journal.emit("note", data={"n": 1})
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))  # a write is cut short, as on a full disk
journal.emit("note", data={"n": 2, "text": "x" * 500})
journal.emit("note", data={"n": 3, "text": "x" * 500})
assert journal.lost == 2, journal.lost
assert (Path(sys.argv[1]) / "heartbeat_detailed.jsonl").read_bytes().endswith(b"}\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
journal.emit("note", data={"n": 4})
"""


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "work" / "logs"


@pytest.fixture
def journal(logs: Path) -> Journal:
    return Journal(logs)


def detailed(logs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (logs / "heartbeat_detailed.jsonl").read_text().splitlines()]


def lines(logs: Path, name: str) -> list[str]:
    return (logs / name).read_text().splitlines()


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def grep_count(pattern: str, path: Path) -> str:
    command = ["grep", "-c", pattern, str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def test_the_three_files_are_there_from_the_start(journal: Journal, logs: Path) -> None:
    names = ("heartbeat_detailed.jsonl", "heartbeat_events.log", "heartbeat_errors.log")
    assert [(logs / name).read_bytes() for name in names] == [b"", b"", b""]


def test_only_the_user_can_read_the_files(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        old = tmp_path / "logs" / "heartbeat_detailed.jsonl"
        old.parent.mkdir()
        old.touch(mode=0o644)  # of an earlier version
        Journal(tmp_path / "logs").emit("task_created", data={"secret": 1})
    finally:
        os.umask(umask)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in old.parent.iterdir()}
    assert len(modes) >= 4
    assert set(modes.values()) == {"0o600"}


def test_an_event_is_a_line_in_two_files(journal: Journal, logs: Path) -> None:
    journal.emit("task_created", request_id="5926676f", action="create_task", data={"a": 1})
    (line,) = detailed(logs)
    assert list(line) == ["timestamp", "event_type", "request_id", "action", "data", "metadata"]
    assert (line["data"], line["metadata"]) == ({"a": 1}, {})
    assert lines(logs, "heartbeat_events.log") == [
        f"[{line['timestamp']}] TASK_CREATED | ID: 5926676f | Action: create_task"
    ]
    assert lines(logs, "heartbeat_errors.log") == []


@pytest.mark.parametrize("event_type", ["error", "task_error"])
def test_an_error_is_also_in_the_file_of_errors(journal: Journal, logs: Path, event_type: str) -> None:
    journal.emit(event_type, data={"task_id": "abc"})
    (line,) = detailed(logs)
    assert line["data"] == {"error": "Unknown error", "task_id": "abc"}
    assert lines(logs, "heartbeat_errors.log") == [
        f"[{line['timestamp']}] ERROR: Unknown error",
        "Task: abc",
        "=" * 80,
    ]


def test_the_pipelines_of_the_guide_count_one_line_per_task(journal: Journal, logs: Path) -> None:
    task = {"task_id": "t1", "assigned_by": "ray", "task_data": {"name": "task_error"}}
    journal.emit("task_requested", data=task)
    journal.emit("task_created", data=task)
    journal.emit("outgoing_response", data={"status": "task_created", "task_id": "t1"})
    found = {
        pattern: grep_count(pattern, logs / "heartbeat_detailed.jsonl")
        for pattern in ("task_created", "task_error", '"assigned_by": "ray"', "t1")
    }
    assert found == {"task_created": "1", "task_error": "0", '"assigned_by": "ray"': "2", "t1": "3"}


def test_volatile_events_push_no_error_out_of_the_last_hundred_lines(journal: Journal, logs: Path) -> None:
    journal.emit("task_error", data={"error": "No"})
    for _ in range(200):
        journal.emit("heartbeat")
        journal.emit("incoming_get", volatile=True)
    assert [line["event_type"] for line in detailed(logs)] == ["task_error"]
    assert len(lines(logs, "heartbeat_events.log")) == 1
    assert len(lines(logs, "heartbeat_stats.jsonl")) == 400


def test_no_secret_is_in_any_file(logs: Path) -> None:
    journal = Journal(logs, redact=["first-s3cret"])
    journal.add_secret("second-s3cret")
    for text in ("first-s3cret", "second-s3cret", "password=third-s3cret"):
        journal.emit("error", request_id=text, action=text, data={"error": text, text: text}, metadata=text)
        journal.emit("heartbeat", data={"token": "fourth-s3cret", "text": text})
    assert [path.name for path in logs.iterdir() if b"s3cret" in path.read_bytes()] == []


def test_data_that_json_does_not_know_lose_no_line(journal: Journal, logs: Path) -> None:
    journal.emit("note", data={"x": object(), "y": "\ud800"}, metadata={"z": {1, 2}})
    journal.emit("note", data="text")
    assert detailed(logs)[0]["data"] == {"x": "[object]", "y": "\ud800"}
    assert detailed(logs)[1]["data"] == "text"


def test_huge_data_make_a_line_of_bounded_length(journal: Journal, logs: Path) -> None:
    journal.emit("note", data={"x": ["\x00" * 100_000] * 100})
    assert (logs / "heartbeat_detailed.jsonl").stat().st_size < 500_000


def test_a_closed_journal_has_no_open_file_and_the_next_event_opens_it_again(
    journal: Journal, logs: Path
) -> None:
    def opened() -> list[str]:
        return [file.path for file in psutil.Process().open_files() if file.path.startswith(f"{logs}/")]

    journal.emit("note", data={"n": 1})
    assert opened()
    journal.close()
    assert opened() == []
    journal.emit("note", data={"n": 2})
    assert [line["data"]["n"] for line in detailed(logs)] == [1, 2]


def test_a_log_that_is_moved_away_goes_on_in_a_new_file(journal: Journal, logs: Path) -> None:
    journal.emit("note", data={"n": 1})
    (logs / "heartbeat_detailed.jsonl").rename(logs / "heartbeat_detailed.jsonl.backup")
    journal.emit("note", data={"n": 2})
    assert [line["data"]["n"] for line in detailed(logs)] == [2]


def test_a_torn_line_of_a_dead_writer_leaves_only_json_behind(journal: Journal, logs: Path) -> None:
    journal.emit("note", data={"n": 1})
    with (logs / "heartbeat_detailed.jsonl").open("a") as stream:
        stream.write('{"event_type": "task_created", "da')
    journal.emit("note", data={"n": 2})
    assert [line["event_type"] for line in detailed(logs)] == ["note", "journal_torn", "note"]


def test_a_line_that_only_lacks_its_end_is_kept(journal: Journal, logs: Path) -> None:
    (logs / "heartbeat_detailed.jsonl").write_text('{"event_type": "by hand"}')
    journal.emit("note")
    assert [line["event_type"] for line in detailed(logs)] == ["by hand", "note"]


def test_four_processes_that_write_and_rotate_lose_and_mix_no_line(logs: Path) -> None:
    writers = [python(WRITER, logs, name) for name in "abcd"]
    for writer in writers:
        writer.communicate(timeout=120)
    expected = {f"{name}-{number}" for name in "abcd" for number in range(500)}
    found = [line["data"]["task_id"] for line in Journal(logs, keep=500).read()]
    assert len(found) == 2000
    assert set(found) == expected
    for file in logs.glob("heartbeat_detailed.jsonl*"):
        assert all(json.loads(line) for line in file.read_text().splitlines())
    events = [line for file in logs.glob("heartbeat_events.log*") for line in file.read_text().splitlines()]
    assert {line.rpartition("Task: ")[2] for line in events} == expected
    assert len(list(logs.glob("heartbeat_detailed.jsonl.*"))) > 5


def test_threads_of_one_process_mix_no_lines(journal: Journal, logs: Path) -> None:
    def write() -> None:
        for _ in range(20):
            journal.emit("note", data={"x": "y" * 5000})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [line["data"]["x"] for line in detailed(logs)] == ["y" * 5000] * 80


def test_lines_are_in_the_order_of_time(logs: Path) -> None:
    writers = [python(WRITER, logs, name) for name in "ab"]
    for writer in writers:
        writer.communicate(timeout=120)
    times = [line["timestamp"] for line in Journal(logs, keep=500).read()]
    assert times == sorted(times)


def test_a_writer_that_is_killed_leaves_whole_lines_and_stops_nobody(logs: Path) -> None:
    for _ in range(3):
        with python(ENDLESS, logs) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "going\n"
            writer.send_signal(signal.SIGKILL)
    Journal(logs).emit("note", data={"after": True})
    *before, last = detailed(logs)
    assert last["data"] == {"after": True}
    assert len([line for line in before if line["event_type"] == "error"]) >= 15


def test_a_full_disk_tears_no_line_and_is_told_afterwards(logs: Path) -> None:
    with python(FULL, logs) as writer:
        assert writer.wait(60) == 0
    assert [(line["event_type"], line["data"]) for line in detailed(logs)] == [
        ("note", {"n": 1}),
        ("journal_gap", {"lost": 2}),
        ("note", {"n": 4}),
    ]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalrunError, match=r"cannot write to the log folder .*/file/logs"):
        Journal(tmp_path / "file" / "logs")


def test_a_folder_that_vanishes_stops_nobody(journal: Journal, logs: Path) -> None:
    logs.rename(logs.with_name("gone"))
    journal.emit("note")
    assert journal.lost == 1
