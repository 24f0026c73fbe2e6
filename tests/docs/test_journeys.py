"""Each kind of user gets from the README to a page whose commands are executed by tests."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT
from tests.docs.test_examples import PAGES_WITH_EXAMPLES, examples
from tests.docs.test_pytest import PAGE as PYTEST_PAGE
from tests.docs.test_python import FEWEST

JOURNEYS = {
    "write a task for App Engine": (
        "quickstart.md",
        ["localrun run ", "--mount", "build ", "upload ", "--remote"],
    ),
    "run tasks from a script or notebook": ("python.md", ["localrun.run(", "localrun.submit(", "metadata="]),
    "call tasks from a backend": (
        "http.md",
        ["localrun serve", "curl ", "localrun.Client(", "client.follow("],
    ),
    "test a task": ("pytest.md", ["pytest -q", "--localrun-update"]),
    "develop an iExec app": ("iexec.md", ["validate ", "--profile iexec", "localrun explain"]),
}


@pytest.mark.parametrize("reader", JOURNEYS)
def test_a_page_with_executed_commands_is_linked_from_the_readme(reader: str) -> None:
    page, steps = JOURNEYS[reader]
    row = re.search(rf"^\| {reader} \| .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row is not None
    assert f"](docs/{page}" in row[0]
    executed = _executed(page)
    assert [step for step in steps if step not in executed] == []


def _executed(page: str) -> str:
    """Return what tests execute of a page: blocks of `sh` and `pycon`, on the page on pytest `console`."""
    text = (ROOT / "docs" / page).read_text()
    found = []
    if any(param.id == f"docs/{page}" for param in PAGES_WITH_EXAMPLES):
        found += [example.command for example in examples(text)]
    if page in FEWEST:
        found += re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    if text == PYTEST_PAGE:
        found += re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join(found)
