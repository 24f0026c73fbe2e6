from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from localrun.console.results import (
    as_fields,
    failure_fields,
    output_lines,
    output_size,
    print_plain,
    print_table,
    value_text,
)
from localrun.console.streams import print_json
from localrun.errors import InputsError, Problem, TaskKilled
from localrun.task.record import Resources, StepRecord, TaskRecord, UsageRecord
from localrun.task.states import StepName, TaskState

KEYS = (
    "id bundle image state cause message remedy exit_code inputs outputs"
    " problems warnings steps timings usage folder"
)


def test_the_record_has_the_promised_keys_in_the_promised_order() -> None:
    step = StepRecord(name=StepName.TASK, started=1.0, finished=3.5)
    record = TaskRecord(id="i", bundle="b", state=TaskState.FINISHED, image_name="name:1", steps=[step])
    fields = as_fields(record)
    assert " ".join(fields) == KEYS
    assert (fields["image"], fields["steps"][0]["seconds"], fields["cause"]) == ("name:1", 2.5, None)
    assert " ".join(failure_fields(InputsError("x"))) == KEYS


def test_a_failure_before_a_task_lists_every_problem() -> None:
    fields = failure_fields(InputsError("wrong", remedy="do", problems=[Problem("inputs.a", "bad")]), "b.zip")
    assert fields["problems"] == [{"path": "inputs.a", "message": "bad"}]
    assert [fields[key] for key in ("id", "bundle", "state", "cause", "folder")] == [
        None,
        "b.zip",
        "FAILED",
        "INPUTS_INVALID",
        None,
    ]
    assert failure_fields(TaskKilled("stopped"))["state"] == "KILLED"


def test_json_is_one_line_of_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "größe\n", "file": "\udcff"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.count("\n") == 1
    assert json.loads(printed)["name"] == "größe\n"


def test_files_have_their_size_and_values_are_unchanged(tmp_path: Path) -> None:
    (tmp_path / "mask").write_bytes(b"x" * 2048)
    (tmp_path / "many").mkdir()
    (tmp_path / "many/0").write_bytes(b"x" * 10)
    outputs = {"mask": str(tmp_path / "mask"), "many": str(tmp_path / "many"), "n": 7, "s": "/etc/passwd"}
    assert list(output_lines(outputs, [tmp_path])) == [
        f"mask: {tmp_path}/mask (2 KiB)",
        f"many: {tmp_path}/many (10 B)",
        "n: 7",
        "s: /etc/passwd",
    ]


def test_an_array_of_files_is_shown_as_its_folder(tmp_path: Path) -> None:
    # Given an array of files, and one of arrays
    for name in ("frames/0", "frames/1", "tiles/0/0", "tiles/1/0", "one/0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(512))
    outputs = {
        "frames": [f"{tmp_path}/frames/{number}" for number in range(2)],
        "tiles": [[f"{tmp_path}/tiles/{number}/0"] for number in range(2)],
        "one": [f"{tmp_path}/one/0"],
        "words": ["/etc/one", "/etc/two"],
        "none": [],
    }

    # Then each is one short line, and strings that look like paths stay strings
    assert list(output_lines(outputs, [tmp_path])) == [
        f"frames: {tmp_path}/frames (2 items, 1 KiB)",
        f"tiles: {tmp_path}/tiles (2 items, 1 KiB)",
        f"one: {tmp_path}/one (1 item, 512 B)",
        'words: ["/etc/one", "/etc/two"]',
        "none: []",
    ]


def test_a_value_cannot_control_the_terminal_or_break_its_line() -> None:
    assert value_text("a\x1b[2J\nb") == "a\\x1b[2J\\x0ab"
    assert value_text([1, True, None]) == "[1, true, null]"


def test_a_string_that_is_not_a_path_has_no_size(tmp_path: Path) -> None:
    assert output_size(f"{tmp_path}/\0", tmp_path) is None
    assert output_size(f"{tmp_path}/missing", tmp_path) is None
    assert output_size(7, tmp_path) is None


@pytest.fixture
def ended(tmp_path: Path) -> TaskRecord:
    """A finished task with a file output."""
    (tmp_path / "mask").write_bytes(b"x" * 2048)
    return TaskRecord(
        id="0123456789",
        bundle="b",
        state=TaskState.FINISHED,
        outputs={"sum": 7, "mask": str(tmp_path / "mask")},
        timings={"image": 0.5, "run": 1.2, "remove": 0.0001},
        history=[(TaskState.CREATED, 100.0), (TaskState.FINISHED, 102.0)],
        folder=str(tmp_path),
    )


def test_the_table_shows_outputs_timings_and_folder(ended: TaskRecord) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=300)
    print_table(console, ended, ended.outputs, [Path(ended.folder)])
    assert isinstance(console.file, io.StringIO)
    rows = [line.split(maxsplit=1) for line in console.file.getvalue().splitlines()]
    assert [(name, text.strip()) for name, text in rows] == [
        ("task", "FINISHED 01234567"),
        ("sum", "7"),
        ("mask", f"{ended.folder}/mask  2 KiB"),
        ("time", "2.0 s: image 500 ms, run 1.2 s"),
        ("folder", ended.folder),
    ]


def test_a_terminal_shows_the_beginning_of_a_long_array_and_its_length(ended: TaskRecord) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=300)
    print_table(console, ended, {"short": [1] * 30, "long": list(range(300))}, [Path(ended.folder)])
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert str([1] * 30) in text
    assert "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]  300 items" in text


def test_without_a_terminal_the_same_is_printed_as_lines(
    ended: TaskRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    print_plain(ended, ended.outputs, [Path(ended.folder)])
    assert capsys.readouterr().out.splitlines() == [
        "output sum: 7",
        f"output mask: {ended.folder}/mask (2 KiB)",
        "time 2.0 s: image 500 ms, run 1.2 s",
        f"folder {ended.folder}",
        "FINISHED 0123456789",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_the_result_shows_the_memory_peak_and_its_limit(
    terminal: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = UsageRecord(
        samples=9,
        cpu_seconds=3.5,
        memory_peak=48 * 1024**2,
        memory_most=None,
        read_bytes=0,
        written_bytes=1024,
        processes=2,
    )
    record = TaskRecord(
        id="i",
        bundle="b",
        state=TaskState.FINISHED,
        history=[(TaskState.RUNNING, 1.0), (TaskState.FINISHED, 9.0)],
        resources=Resources(memory=64 * 1024**2),
        usage=used,
        folder=str(tmp_path),
    )
    words = "peak memory 48 MiB of 64 MiB (75 %); cpu 3.5 s; disk 0 B read, 1 KiB written"
    if terminal:
        console = Console(file=io.StringIO(), width=200)
        print_table(console, record, {}, [])
        assert isinstance(console.file, io.StringIO)
        assert words in console.file.getvalue()
    else:
        print_plain(record, {}, [])
        assert f"usage {words}\n" in capsys.readouterr().out
    assert as_fields(record)["usage"]["memory_peak"] == 48 * 1024**2
