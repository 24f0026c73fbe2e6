"""Rows with URLs: downloads that are stopped, and credentials, which no file of a batch has."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from localrun.batch.product import ProductRows, grid, over
from localrun.batch.rows import ListedRows, RowSource
from localrun.batch.table import TableRows
from localrun.engines.fake import FakeContainer
from tests.batch.work import Project
from tests.manager.test_downloading import HEAD, PARAMETERS
from tests.support.waiting import WAIT, until
from tests.values.test_downloads import running_site

SECRETS = ("hidden-user", "hidden-word", "hidden-key")
URL = "http://hidden-user:hidden-word@127.0.0.1:1/a.csv?key=hidden-key"


class AnyInputs(Project):
    def _run(self, container: FakeContainer) -> int:
        container.path("/outputs/seen").write_text("")
        return 0


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = AnyInputs(tmp_path)
    found.bundle.write_text(HEAD + PARAMETERS)
    return found


def leaks(project: Project) -> set[str]:
    """Return the files of a batch and of its tasks that have one of the secrets."""
    files = [path for path in project.folder.rglob("*") if path.is_file() and path.suffix != ".rows"]
    texts = {str(path.relative_to(project.folder)): path.read_bytes() for path in files}
    names = {path.name for path in files}
    assert {"batch.json", "dropped.jsonl", "results.csv", "results.jsonl"} <= names
    return {name for name, text in texts.items() if any(secret.encode() in text for secret in SECRETS)}


def source(kind: str, project: Project, first: int) -> RowSource:
    """Return rows with a URL that does not answer, where a file, an array and a number are expected."""
    if kind == "grid":
        return ProductRows([grid(f"count={first},9"), grid(f"table={URL}")])
    if kind == "list":
        given = {"table": URL}, {"tables": [URL]}, {"count": URL}, {"count": [URL]}, {"count": first}
        return ListedRows(given)
    table = project.folder / "table.rows"
    table.write_text(f"table,count\n{URL},\n,@{URL}\n,{URL}\n,{first}\n")
    return TableRows(table)


@pytest.mark.parametrize("kind", ["grid", "list", "table"])
def test_no_file_of_a_batch_has_the_credentials_of_a_url(project: Project, kind: str) -> None:
    output = project.folder / "out"
    for first in (1, 2):
        rows = source(kind, project, first)
        results = list(project.batch(rows, skip_invalid=True, output=output, resume=first == 2))
        assert "INPUTS_INVALID" in {result.cause for result in results}
    assert leaks(project) == set()


def test_a_refused_axis_does_not_show_the_credentials_of_its_url() -> None:
    for parse, text in (
        (over, f"table={URL}"),
        (over, f"table=@{URL}"),
        (grid, f"table={URL},,"),
    ):
        with pytest.raises(ValueError) as caught:
            parse(text)
        assert not any(secret in str(caught.value) for secret in SECRETS)


def test_a_row_whose_input_is_being_downloaded_is_stopped_and_runs_again(project: Project) -> None:
    with running_site() as site:
        batch = project.batch([{"table": f"{site}/drip"}])
        thread = threading.Thread(target=list, args=(batch,))
        thread.start()
        until(lambda: list(project.home.glob("tasks/*/uploads/.urls/.*")))
        batch.stop()
        thread.join(WAIT)
        assert not thread.is_alive()
        assert project.lines == []
        assert list((project.home / "tasks").iterdir()) == []
    with running_site() as site:
        (result,) = project.batch([{"table": f"{site}/5"}], resume=True)
    assert result.is_finished
