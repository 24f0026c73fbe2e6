"""The examples of the page on Python do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.project import project
from tests.support.samples import remove_new_images

PAGE = (ROOT / "docs/python.md").read_text()
FEWEST = {"python.md": 6, "iexec.md": 1, "replicas.md": 1}  # blocks of a page: none may be missed


@pytest.mark.docker
@pytest.mark.parametrize("page", FEWEST)
def test_the_examples_of_the_page_print_what_they_say(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    environment = project(tmp_path)
    (tmp_path / "page.txt").write_text("\n".join(blocks))
    command = [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "page.txt"]
    with remove_new_images(tmp_path / ".localrun"):
        ran = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
    assert len(blocks) >= FEWEST[page]
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_every_public_name_is_on_the_page() -> None:
    import localrun
    from localrun.api.handle import TaskHandle

    classes = (localrun.Task, TaskHandle)
    handle = [name for one in classes for name in vars(one) if not name.startswith("_")]
    wanted = {*localrun.__all__, *handle} - {"end", "left_line"}
    assert {name for name in wanted if name not in PAGE} == set()


def test_the_reference_has_every_public_name_and_every_field_of_a_record_with_its_meaning() -> None:
    import localrun
    from localrun.task.record import TaskRecord

    page = (ROOT / "docs/reference/python.md").read_text()
    headings = set(re.findall(r"^###? (\S+)", page, re.MULTILINE))
    assert set(localrun.__all__) - {"TaskFailed", "TaskManager"} <= headings
    assert {"Task.wait", "Task.rerun", "Task.get_status", "Client.follow", "StepRecord"} <= headings
    section = page.partition("## TaskRecord")[2].partition("### Resources")[0]
    meanings = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", section, re.MULTILINE))
    assert [name for name in TaskRecord.__struct_fields__ if len(meanings.get(name, "")) < 8] == []
