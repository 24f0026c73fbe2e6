"""What a hostile task writes has no effect in the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.browser.conftest import Open
from tests.support import image_files
from tests.support.page_server import count_cells, outline, serve_page

HTML = "<!doctype html><script>window.hacked = 1; alert(1)</script><img src=x onerror='window.hacked = 2'>"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked = 3'><script>alert(1)</script></svg>"
LINK = "\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07"
ESCAPES = f"\x1b]0;title\x07{LINK}\x1b[2J\x1b[31mred\x1b[0m \u202egnp.exe\n"


def hostile(container: FakeContainer) -> int:
    points = [[number % 1000, number // 1000] for number in range(1_000_000)]
    shape = {"type": "LineString", "coordinates": points}
    container.path("/outputs/page").write_text(HTML)
    container.path("/outputs/drawing").write_text(SVG)
    container.path("/outputs/shape").write_text(json.dumps(shape))
    container.stdout.write(ESCAPES)
    container.stdout.write("<img src=x onerror='window.hacked = 5'>\n")
    container.stderr.write(f"{'long ' * 400_000}\n")
    return 0


@pytest.fixture(scope="module")
def hostile_task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an ended task with hostile outputs."""
    with serve_page(tmp_path_factory.mktemp("hostile"), {"any": hostile}) as server:
        task_id = server.submit("any.zip", number=1)
        server.wait(task_id)
        yield server.url(f"/ui/task/{task_id}")


def test_html_svg_and_escape_sequences_are_text(hostile_task: str, visit: Open) -> None:
    for name, start in (("page", "<!doctype html><script>"), ("drawing", "<svg xmlns=")):
        visitor = visit(f"{hostile_task}?show=outputs/{name}")
        visitor.see(start)
    visitor.see("<img src=x onerror='window.hacked = 5'>")
    log = visitor.text(".virtual.log")
    assert "\x1b" not in log
    assert "\u202e" not in log
    assert "title" not in log
    assert visitor.page.evaluate("window.hacked") is None
    assert visitor.page.locator(".virtual.log img, .virtual.log a[href^=javascript]").count() == 0


def test_a_geometry_of_a_million_points_is_bounded(hostile_task: str, visit: Open) -> None:
    visitor = visit(f"{hostile_task}?show=outputs/shape")
    viewer = visitor.page.get_by_role("region", name="Viewer: outputs/shape")
    viewer.get_by_text("LineString").first.wait_for()
    assert len(visitor.page.content()) < 3_000_000


def test_an_image_bomb_is_refused_with_the_reason(tmp_path: Path, visit: Open) -> None:
    def bomb(container: FakeContainer) -> int:
        assert count_cells(container) == 0
        container.path("/outputs/mask").write_bytes(image_files.png(60_000, 60_000, data=bytes(4_000_000)))
        return 0

    with serve_page(tmp_path, {"cells": bomb}) as server:
        task_id = server.cells()
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}?show=outputs/mask"))
        visitor.see("Decoding 60000 x 60000 pixels takes")


def test_many_points_on_an_image_are_simplified_and_this_is_said(tmp_path: Path, visit: Open) -> None:
    def many(container: FakeContainer) -> int:
        assert count_cells(container) == 0
        corners = [[number % 120, (number // 120) % 120] for number in range(100_000)]
        shape = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
        container.path("/outputs/outlines/0").write_text(json.dumps(shape))
        container.path("/outputs/outlines/1").write_text(json.dumps(outline(60, 30, 120)))
        return 0

    with serve_page(tmp_path, {"cells": many}) as server:
        task_id = server.cells()
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}?show=outputs/outlines"))
        visitor.see("Simplified")


def test_names_and_messages_are_text(tmp_path: Path, visit: Open) -> None:
    with serve_page(tmp_path) as server:
        task = {"name": "<img src=x onerror=alert(1)>", "note": "</script><script>alert(2)</script>"}
        body = {"task": task, "assigned_by": "<svg onload=alert(3)>"}
        task_id = server.request("POST", "/task", body)["task_id"]
        visitor = visit(server.url())
        visitor.see("<svg onload=alert(3)>")
        visitor.page.goto(server.url(f"/ui/task/{task_id}"))
        visitor.see("<svg onload=alert(3)>")
        visitor.page.goto(server.url("/ui/events"))
        visitor.see("task_created")
