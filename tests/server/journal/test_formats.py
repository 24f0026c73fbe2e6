"""The formats that grep and jq commands of users rely on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.server.journal import formats
from localrun.server.timestamps import now

WHEN = "2026-11-20T21:00:47.775315+00:00"


def line(event_type: str, data: Any = None, metadata: Any = None) -> str:
    rest = formats.encode_fields("5926676f", "create_task", data or {}, metadata or {})
    return formats.json_line(WHEN, event_type, rest).decode()


def test_the_time_is_utc_and_has_six_digits() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", now())


def test_a_line_has_the_keys_in_their_order_and_spaces_after_colons() -> None:
    assert line("task_created", {"assigned_by": "ray"}) == (
        f'{{"timestamp": "{WHEN}", "event_type": "task_created", "request_id": "5926676f", '
        '"action": "create_task", "data": {"assigned_by": "ray"}, "metadata": {}}\n'
    )


@pytest.mark.parametrize("name", ["task_created", "task_error", "task_requested", "task_completed"])
def test_the_name_of_an_event_is_found_in_its_own_lines_only(name: str) -> None:
    own = line(name, {"status": name})
    other = line("outgoing_response", {"status": name, name: [name]}, {"was": name})
    assert own.count(name) == 1
    assert name not in other
    assert json.loads(other)["data"] == {"status": name, name: [name]}


@given(st.text(alphabet=st.sampled_from('\\_u005ftask"created\x85\u2028\n😀\ud800'), max_size=40))
def test_any_text_is_one_line_that_reads_back_the_same(text: str) -> None:
    text = f"{text}task_created{text}"
    written = formats.json_line(WHEN, "note", formats.encode_fields(None, None, {text: text}, {}))
    assert written.count(b"\n") == 1
    assert len(written.decode().splitlines()) == 1
    assert b"task_created" not in written
    assert json.loads(written)["data"] == {text: text}


def test_other_languages_stay_readable() -> None:
    assert "Zellzählung 細胞" in line("note", {"name": "Zellzählung 細胞"})


def test_a_brief_line_names_type_request_and_action() -> None:
    found = formats.event_line(WHEN, "task_requested", "5926676f", "create_task", {})
    assert found.decode() == f"[{WHEN}] TASK_REQUESTED | ID: 5926676f | Action: create_task\n"


def test_what_is_missing_in_a_brief_line_is_none() -> None:
    assert (
        formats.event_line(WHEN, "note", None, None, []).decode()
        == f"[{WHEN}] NOTE | ID: None | Action: None\n"
    )


@pytest.mark.parametrize(
    ("event_type", "data", "suffix"),
    [
        ("incoming_post", {"question": "q" * 60}, f" | Question: {'q' * 50}..."),
        ("outgoing_response", {"status": 200}, " | Status: 200"),
        ("error", {"error": "no disk"}, " | Error: no disk"),
        ("task_created", {"task_id": "abc"}, " | Task: abc"),
    ],
)
def test_a_brief_line_says_what_matters_of_its_type(event_type: str, data: Any, suffix: str) -> None:
    assert formats.event_line(WHEN, event_type, "r", "a", data).decode().endswith(f"Action: a{suffix}\n")


def test_a_brief_line_is_one_line_that_no_terminal_obeys() -> None:
    found = formats.event_line(WHEN, "error", "r\n[forged]", "a\x1b[2J", {"error": "x\u2028y\ud800"}).decode()
    assert found.count("\n") == 1
    assert found[:-1].isprintable()


def test_an_error_is_a_block_that_ends_in_a_rule() -> None:
    data = {"error": "No space", "task_id": "abc", "traceback": "Traceback:\n  line 1\n"}
    assert formats.error_block(WHEN, data).decode() == (
        f"[{WHEN}] ERROR: No space\nTask: abc\nTraceback: Traceback:\n  line 1\n{'=' * 80}\n"
    )


@pytest.mark.parametrize("data", [{}, {"error": ""}, {"error": None}, None, {"error": "  \n"}])
def test_an_error_always_has_a_text(data: Any) -> None:
    assert formats.normalize_error(data)["error"] == "Unknown error"


def test_errors_of_one_kind_have_the_same_text_and_keep_the_rest() -> None:
    first, second = (
        formats.normalize_error({"error": f"Task {task} left /data/{task}/out.txt at {when}\nmore"})
        for task, when in [
            ("0f495b92-26c7-4be3-bff6-769c01ab8424", "2026-11-20T21:00:47+00:00"),
            ("11495b92-26c7-4be3-bff6-769c01ab8424", "2026-11-21T01:00:47.123456Z"),
        ]
    )
    assert first["error"] == second["error"] == "Task <id> left <path> at <time>"
    assert "0f495b92" in first["detail"]


def test_a_text_that_is_stable_already_is_left_alone() -> None:
    assert formats.normalize_error({"task_id": "x", "error": "Task not found for completion"}) == {
        "error": "Task not found for completion",
        "task_id": "x",
    }


def test_an_error_whose_data_are_no_object_keeps_them() -> None:
    assert formats.normalize_error(["a"]) == {"error": "Unknown error", "value": ["a"]}


def test_the_journal_is_read_without_a_web_framework() -> None:
    code = "import sys, localrun.server.journal; sys.exit(len({'starlette', 'fastapi'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], check=True)
