"""The batches of the folder, and one batch with its rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.results import ResultLine
from localrun.batch.store import BatchStore
from localrun.engines.base import Exit
from localrun.engines.fake import FakeContainer
from localrun.task.states import TaskState
from localrun.undecodable import encode_record
from tests.browser.conftest import Open
from tests.browser.test_views import LOOKS, check_both_themes
from tests.support.page_server import PageServer, count_cells, serve_page

ITEMS = "[...document.querySelectorAll('.batch-line.item')]"
FIRST = f"(wanted) => {ITEMS}[0].querySelector('.c-row').textContent === wanted"


class Site:
    """A server with a program that waits while the label is `slow`, until the gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.server: PageServer

    def program(self, container: FakeContainer) -> int | Exit:
        label = container.path("/inputs/label")
        if label.exists() and label.read_text() == "slow":
            while not self.gate.is_set():
                if container.stopped.wait(0.02):
                    return 143
        return count_cells(container)

    def batch(self, *rows: dict[str, Any], **fields: Any) -> str:
        """Create a batch. Return its id."""
        found = [{"image": "@cells.png", "mode": "fast", **row} for row in rows]
        body = {"bundle": "cells.zip", "rows": found, "assigned_by": "test", **fields}
        return str(self.server.request("POST", "/batch", body)["batch_id"])

    def wait(self, batch: str) -> None:
        assert self.server.request("GET", f"/batch/{batch}/wait?timeout=60")["ended"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site()
    with serve_page(tmp_path, {"cells": made.program}) as server:
        made.server = server
        yield made
        made.gate.set()
        server.state.batches.close("kill", 0.0)


def test_a_folder_without_batches_says_how_to_start_one(site: Site, visit: Open) -> None:
    visitor = visit(site.server.url("/ui/"))
    visitor.page.get_by_role("link", name="Batches").click()
    visitor.see("No batches yet")
    visitor.see("localrun batch BUNDLE")
    check_both_themes(visitor)


def test_a_batch_is_followed_live_with_failures_first(site: Site, visit: Open) -> None:
    batch = site.batch({"label": "a"}, {"mode": "fail"}, {"label": "slow", "id": "last"})
    visitor = visit(site.server.url("/ui/batches"))
    visitor.see("2 of 3")
    visitor.page.get_by_role("link", name="Count cells").click()
    visitor.see("EXIT_NONZERO")
    visitor.until(FIRST, "0002")
    visitor.see("last")
    visitor.see("count 4")
    assert "did not finish" in visitor.text()
    check_both_themes(visitor)
    site.gate.set()
    visitor.see("3 of 3 rows")
    visitor.see("Ended")
    site.wait(batch)
    visitor.until(
        "() => /batch ended/i.test(document.querySelector('[aria-live=polite][role=status]').textContent)"
    )
    visitor.page.get_by_role("link", name="0002").click()
    visitor.see("ValueError")
    visitor.page.get_by_role("link", name=f"batch {batch[:8]}").click()
    visitor.see("3 of 3 rows")


@pytest.mark.parametrize("look", LOOKS)
def test_the_lists_fit_any_window(site: Site, visit: Open, look: str) -> None:
    batch = site.batch({"mode": "fail"}, {"label": "b"})
    site.wait(batch)
    visitor = visit(site.server.url("/ui/batches"), **LOOKS[look])
    visitor.see("2 of 2")
    check_both_themes(visitor)
    visitor.page.get_by_role("link", name="Tasks").click()
    visitor.see("row 1")
    check_both_themes(visitor)


def test_rows_are_filtered_searched_and_ordered(site: Site, visit: Open) -> None:
    batch = site.batch({"label": "oak"}, {"mode": "fail"}, {"label": "elm"})
    site.wait(batch)
    visitor = visit(site.server.url(f"/ui/batch/{batch}"))
    page = visitor.page
    visitor.until(FIRST, "0002")
    page.get_by_label("Order").select_option(label="row")
    visitor.until(FIRST, "0001")
    assert "sort=row" in page.url
    page.get_by_role("button", name="Failed 1").click()
    visitor.until(f"() => {ITEMS}.length === 1")
    page.get_by_role("button", name="Failed 1").click()
    page.get_by_role("searchbox", name="Search rows").fill("ELM")
    visitor.until(f"() => {ITEMS}.length === 1")
    visitor.until(FIRST, "0003")
    page.get_by_role("searchbox", name="Search rows").fill("nothing")
    visitor.see("No row matches.")


def test_a_batch_is_cancelled_resumed_and_downloaded(site: Site, visit: Open) -> None:
    batch = site.batch({"label": "a"}, {"label": "slow"}, {"label": "b"}, jobs=1)
    visitor = visit(site.server.url(f"/ui/batch/{batch}"))
    page = visitor.page
    visitor.see("1 of 3 rows")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("button", name="Cancel it").click()
    visitor.see("Cancelled")
    site.gate.set()
    page.get_by_role("button", name="Resume").click()
    visitor.see("3 of 3 rows")
    visitor.see("Finished")
    with page.expect_download() as found:
        page.get_by_role("button", name="CSV").click()
    assert found.value.path().read_text().startswith("row,id,")
    with page.expect_download() as found:
        page.get_by_role("button", name="JSON Lines").click()
    assert json.loads(found.value.path().read_text().splitlines()[0])["row"] == 1


def test_an_unknown_batch_and_one_that_could_not_start_are_explained(site: Site, visit: Open) -> None:
    visitor = visit(site.server.url("/ui/batch/nothing"))
    visitor.see("Batch nothing not found")
    batch = site.batch({"label": "a"}, image="no-such-image")
    visitor.page.goto(site.server.url(f"/ui/batch/{batch}"))
    visitor.see("no-such-image")
    visitor.see("No row has run.")
    check_both_themes(visitor)


@pytest.mark.parametrize("look", LOOKS)
def test_ten_thousand_rows_are_scrolled_through(site: Site, visit: Open, look: str) -> None:
    store = BatchStore(site.server.app.settings.home)
    record = store.create("many", bundle="cells", name="Many rows")
    table = store.folder(record.id) / "results.jsonl"
    with table.open("wb") as stream:
        for number in range(1, 10_001):
            failed = number % 1000 == 0
            state = TaskState.FAILED if failed else TaskState.FINISHED
            line = ResultLine(
                number, f"{number:05d}", state, "EXIT_NONZERO" if failed else None, 1.5, 2**20, {"a": number}
            )
            stream.write(encode_record(line) + b"\n")
    counts = {"FINISHED": 9990, "FAILED": 10}
    store.save(record.replace(results=str(table), total=10_000, counts=counts, ended=record.created + 60))
    visitor = visit(site.server.url("/ui/batch/many"), **LOOKS[look])
    visitor.see("10,000 rows")
    visitor.until(FIRST, "01000")
    visitor.page.evaluate("(box => box.scrollTo(0, box.scrollHeight))(document.querySelector('.batch-rows'))")
    visitor.see("09999")
    assert visitor.page.locator(".batch-line.item").count() < 100
    check_both_themes(visitor)
