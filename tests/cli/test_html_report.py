from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.support.html_check import StaticPage


def test_a_report_is_written_to_a_file(localrun: Command) -> None:
    localrun.run()
    file = localrun.folder / "report.html"
    found = localrun("report", "last", "-o", file)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"wrote {file} (")
    assert "3 + 4" in StaticPage(file.read_text()).text
    assert [path.name for path in localrun.folder.glob(".*localrun-tmp*")] == []


def test_a_report_replaces_a_file_and_goes_to_standard_output(localrun: Command) -> None:
    localrun.run()
    file = localrun.folder / "report.html"
    file.write_text("before")
    assert localrun("report", "last", "-o", file).code == 0
    written = file.read_text()
    assert written.startswith("<!doctype html>")
    printed = localrun("report", "last", "-o", "-")
    assert printed.out.startswith("<!doctype html>")
    assert "wrote" not in printed.out


def test_the_record_of_a_report_names_the_file_and_what_is_left_out(localrun: Command) -> None:
    task_id = localrun.run("--json").json["id"]
    file = localrun.folder / "r.html"
    found = localrun("report", task_id[:8], "-o", file, "--json").json
    assert found == {"id": task_id, "file": str(file), "size": file.stat().st_size, "omitted": []}


@pytest.mark.parametrize("target", ["missing/report.html", "folder"])
def test_a_report_that_cannot_be_written_is_an_error(localrun: Command, target: str) -> None:
    localrun.run()
    (localrun.folder / "folder").mkdir()
    found = localrun("report", "last", "-o", localrun.folder / target)
    assert found.code == 2
    assert target in found.err


def test_a_report_of_an_unknown_task_is_an_error(localrun: Command) -> None:
    localrun.run()
    found = localrun("report", "nope")
    assert found.code != 0
    assert not Path("report.html").exists()


def test_json_and_standard_output_exclude_each_other(localrun: Command) -> None:
    localrun.run()
    found = localrun("report", "last", "-o", "-", "--json")
    assert found.code == 2
    assert "both write to standard output" in found.err


def test_a_report_is_written_to_a_special_file(localrun: Command) -> None:
    localrun.run()
    assert localrun("report", "last", "-o", os.devnull).code == 0
