"""Each view in both themes and on a narrow window: axe-core reports nothing, and everything fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.browser.conftest import Open
from tests.browser.visitor import Visitor
from tests.support.page_server import PageServer, serve_page


class Site(NamedTuple):
    """A server with tasks, and their ids."""

    server: PageServer
    finished: str
    other: str
    failed: str
    running: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    with serve_page(folder) as server:
        finished = server.cells(label="A label that narrow windows wrap", levels=[1, 2])
        other, failed, running = server.cells(threshold=120), server.cells("fail"), server.cells("wait")
        for task_id in (finished, other, failed):
            server.wait(task_id)
        yield Site(server, finished, other, failed, running)


# a view, and a text that is only there when all of it is
VIEWS = {
    "/ui/": "Count cells",
    "/ui/task/{finished}": "Show the geometries as a table",
    "/ui/task/{finished}?show=outputs/report": "threshold",
    "/ui/task/{failed}": "ValueError",
    "/ui/task/{running}": "waiting for a signal",
    "/ui/run": "Upload a bundle",
    "/ui/run?bundle=cells.zip": "The same from a terminal",
    "/ui/run?from={finished}": "cells.png",
    "/ui/compare?a={finished}&b={other}": "Timings and usage",
    "/ui/compare": "Compare two tasks",
    "/ui/queue": "Memory reserved",
    "/ui/events": "task_created",
    "/docs": "Send a task",
}
LOOKS: dict[str, dict[str, Any]] = {"wide": {}, "narrow": {"viewport": {"width": 320, "height": 640}}}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("path", [path for path in VIEWS if path != "/docs"])
def test_a_view_is_accessible_and_fits(site: Site, visit: Open, path: str, look: str) -> None:
    visitor = visit(site.server.url(path.format(**site._asdict())), **LOOKS[look])
    visitor.see(VIEWS[path])
    check_both_themes(visitor)


def check_both_themes(visitor: Visitor) -> None:
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert visitor.accessibility_violations() == []
        assert visitor.overflow() <= 0


@pytest.mark.parametrize("look", LOOKS)
def test_the_documentation_is_accessible_and_sends_requests(site: Site, visit: Open, look: str) -> None:
    visitor = visit(site.server.url("/docs"), **LOOKS[look])
    visitor.page.locator("summary", has_text="/task/status").click()
    form = visitor.page.locator("details[open] form.try")
    form.get_by_role("button", name="Send").click()
    form.get_by_text('"status": "operational"').wait_for()
    visitor.page.locator("summary").filter(has_text="Create a task or a batch of tasks").click()
    visitor.see("curl -X POST")
    check_both_themes(visitor)


def test_the_documentation_follows_a_stream_and_stops(site: Site, visit: Open) -> None:
    visitor = visit(site.server.url("/docs"))
    route = visitor.page.locator("details.route").filter(has_text="/task/{task_id}/events").first
    route.locator("summary").click()
    route.get_by_label("task_id").fill(site.running)
    route.get_by_role("button", name="Send").click()
    route.get_by_text("event: state").first.wait_for()
    route.get_by_role("button", name="Stop").click()
    route.get_by_text("(stopped)").wait_for()


def test_an_unknown_task_and_an_unknown_view_are_explained(site: Site, visit: Open) -> None:
    visitor = visit(site.server.url("/ui/task/no-such-task"))
    visitor.see("not found")
    visitor.page.get_by_role("link", name="Tasks").click()
    visitor.see("Count cells")


def test_without_motion_nothing_moves(site: Site, visit: Open) -> None:
    visitor = visit(site.server.url(f"/ui/task/{site.running}"), reduced_motion="reduce")
    visitor.see("Running")
    assert visitor.page.evaluate("document.getAnimations().length") == 0
