"""One task: its log, timeline, inputs and outputs."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from PIL import Image

from localrun.engines.fake import FakeContainer
from tests.browser.conftest import Open
from tests.support.page_server import PageServer, count_cells, serve_page

LINES = 700_000
PIXEL = (
    "([x, y]) => [...document.querySelector('.map canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
)


def test_outlines_are_drawn_on_their_image_with_their_values(served: PageServer, visit: Open) -> None:
    task_id = served.cells()
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}"))
    page = visitor.page
    visitor.see("outlines (4)")
    # the image of 120 x 120 fills the height of the map but for a margin of 8; the first cell is at 20, 20
    page.locator(".map canvas").first.wait_for()
    box = page.locator(".map").bounding_box()
    assert box is not None
    scale = (box["height"] - 16) / 120
    x, y = box["width"] / 2 + (20 - 60) * scale, 8 + 20 * scale
    visitor.until(f"() => ({PIXEL})([{x}, {y}])[0] > 150")
    page.mouse.move(box["x"] + x, box["y"] + y)
    visitor.see("196.5", selector=".shape-info")
    assert "[0]" in visitor.text(".shape-info")
    position = re.fullmatch(r"x (\d+) y (\d+)", visitor.text(".map-position"))
    assert position is not None
    assert abs(int(position[1]) - 20) <= 1
    assert abs(int(position[2]) - 100) <= 1


def test_a_log_of_fifty_megabytes_is_searched_and_scrolled(tmp_path: Path, visit: Open) -> None:
    def write(container: FakeContainer) -> int:
        for start in range(0, LINES, 1000):
            text = "".join(f"line {number:>9} {'x' * 56}\n" for number in range(start + 1, start + 1001))
            container.stdout.write(text)
        container.stderr.write("the needle at the end\n")
        return 1

    with serve_page(tmp_path, {"any": write}) as server:
        task_id = server.submit("any.zip", number=1)
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}#L350000"))
        page = visitor.page
        page.locator("#L350000.marked").wait_for()
        visitor.see("700,001 lines")
        assert page.evaluate("document.querySelectorAll('*').length") < 3000
        page.get_by_role("searchbox", name="Find in the log").fill("needle")
        page.get_by_role("searchbox", name="Find in the log").press("Enter")
        page.locator("#L700001 mark").wait_for()
        page.get_by_label("Stream").select_option("stderr")
        visitor.until("() => document.querySelectorAll('.log-line').length === 1")
        assert visitor.accessibility_violations() == []


def test_a_log_is_followed_while_it_is_written(tmp_path: Path, visit: Open) -> None:
    def write(container: FakeContainer) -> int:
        for number in range(1, 100_000):
            container.stdout.write(f"tick {number}\n")
            if container.stopped.wait(0.02):
                return 143
        return 0

    with serve_page(tmp_path, {"any": write}) as server:
        task_id = server.submit("any.zip", number=1)
        visitor = visit(server.url(f"/ui/task/{task_id}"))
        visitor.see("tick 100", selector="main")
        follow = visitor.page.get_by_role("button", name="Follow")
        assert follow.get_attribute("aria-pressed") == "true"
        visitor.page.locator(".virtual.log").hover()
        visitor.page.mouse.wheel(0, -100_000)
        visitor.until("() => document.querySelector('.log-tools [aria-pressed=false]')")
        visitor.until("() => document.querySelector('.virtual.log').scrollTop === 0")  # it is animated
        before = visitor.page.evaluate("document.querySelector('.virtual.log').scrollHeight")
        visitor.until(
            "(height) => document.querySelector('.virtual.log').scrollHeight > height + 200", before
        )
        assert visitor.page.evaluate("document.querySelector('.virtual.log').scrollTop") == 0
        visitor.page.keyboard.press("f")
        visitor.until(
            "() => { const log = document.querySelector('.virtual.log');"
            " return log.scrollTop + log.clientHeight > log.scrollHeight - 60; }"
        )


def test_the_timeline_has_one_cursor_that_marks_the_log(tmp_path: Path, visit: Open) -> None:
    def write(container: FakeContainer) -> int:
        for number in range(1, 5):
            container.stdout.write(f"second {number}\n")
            time.sleep(1.1)
        return 0

    with serve_page(tmp_path, {"any": write}) as server:
        task_id = server.submit("any.zip", number=1)
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}"))
        slider = visitor.page.get_by_role("slider", name="Time in the timeline")
        slider.wait_for()
        visitor.page.locator("canvas").first.wait_for()
        slider.focus()
        slider.press("End")
        visitor.page.locator(".log-line.marked").wait_for()
        assert slider.get_attribute("aria-valuetext") == visitor.text(".readout")
        assert "second 4" in visitor.text(".log-line.marked")
        visitor.page.get_by_text("Show as tables").click()
        visitor.see("Samples")
        assert visitor.page.get_by_role("table").count() >= 2


def test_a_part_of_the_timeline_is_shown_with_the_mouse_and_with_keys(
    served: PageServer, visit: Open
) -> None:
    task_id = served.cells()
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}"))
    page = visitor.page
    area = page.locator(".plot-area")
    box = area.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.locator(".dragged").wait_for()
    page.mouse.up()
    whole = page.get_by_role("button", name="Whole task")
    whole.wait_for()
    # the slider has the whole width: its end is in the middle of the task
    slider = page.get_by_role("slider", name="Time in the timeline")
    slider.focus()
    slider.press("End")
    middle = slider.get_attribute("aria-valuetext")
    whole.press("Enter")
    whole.wait_for(state="detached")
    slider.press("End")
    visitor.until("(text) => document.querySelector('.readout').textContent !== text", middle)
    page.get_by_role("button", name="Show a shorter time").press("Enter")
    whole.wait_for()
    page.get_by_role("button", name="Show a longer time").press("Enter")
    whole.wait_for(state="detached")


def test_long_lines_of_the_log_are_wrapped_up_to_the_last_one(tmp_path: Path, visit: Open) -> None:
    def write(container: FakeContainer) -> int:
        container.stdout.write("".join(f"{number} {'word ' * 200}\n" for number in range(200)))
        container.stdout.write("the end\n")
        return 1

    with serve_page(tmp_path, {"any": write}) as server:
        task_id = server.submit("any.zip", number=1)
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}"))
        visitor.see("the end")
        visitor.page.get_by_role("button", name="Wrap").click()
        visitor.until("() => document.querySelector('#L200').offsetHeight > 30")
        is_shown = (
            "(line) => { const log = document.querySelector('.virtual.log').getBoundingClientRect();"
            " const row = document.getElementById(line)?.getBoundingClientRect();"
            " return row && row.top >= log.top - 1 && row.bottom <= log.bottom + 1; }"
        )
        visitor.until(is_shown, "L201")  # the log is followed
        visitor.until(
            "() => { const log = document.querySelector('.virtual.log'); "
            " return log.scrollWidth <= log.clientWidth; }"
        )
        visitor.page.evaluate("document.querySelector('.virtual.log').scrollTop = 0")
        visitor.until(is_shown, "L1")
        visitor.page.get_by_role("searchbox", name="Find in the log").fill("150 word")
        visitor.page.get_by_role("searchbox", name="Find in the log").press("Enter")
        visitor.until(is_shown, "L151")
        visitor.page.locator("h1").click()
        visitor.page.keyboard.press("w")
        visitor.until("() => document.querySelector('#L151').offsetHeight === 18")


def test_the_frames_and_channels_of_an_image_are_shown(tmp_path: Path, visit: Open) -> None:
    def stack(container: FakeContainer) -> int:
        assert count_cells(container) == 0
        pages = [Image.new("RGB", (120, 120), color) for color in ("#ff0000", "#00ff00", "#0000ff")]
        pages[0].save(container.path("/outputs/mask"), "TIFF", save_all=True, append_images=pages[1:])
        return 0

    with serve_page(tmp_path, {"cells": stack}) as server:
        task_id = server.cells()
        server.wait(task_id)
        visitor = visit(server.url(f"/ui/task/{task_id}?show=outputs/mask"))
        page = visitor.page
        visitor.see("Frame 1 of 3")
        box = page.locator(".map").bounding_box()
        assert box is not None
        middle = [box["width"] / 2, box["height"] / 2]
        shows = f"([x, y, wanted]) => String(({PIXEL})([x, y])) === wanted"
        visitor.until(shows, [*middle, "255,0,0,255"])
        page.get_by_role("slider", name="Frame").press("ArrowRight")
        visitor.see("Frame 2 of 3")
        visitor.until(shows, [*middle, "0,255,0,255"])
        page.get_by_label("Channel").select_option(label="2")
        visitor.until(shows, [*middle, "255,255,255,255"])
        page.get_by_label("Channel").select_option(label="3")
        visitor.until(shows, [*middle, "0,0,0,255"])
        assert visitor.accessibility_violations() == []


def test_two_stacks_are_compared_frame_by_frame(tmp_path: Path, visit: Open) -> None:
    def stack(container: FakeContainer) -> int:
        assert count_cells(container) == 0
        label = container.path("/inputs/label").read_text()
        colors = ["red", "black"] if label == "a" else ["red", "white", "white"]
        pages = [Image.new("RGB", (120, 120), color) for color in colors]
        pages[0].save(container.path("/outputs/mask"), "TIFF", save_all=True, append_images=pages[1:])
        return 0

    with serve_page(tmp_path, {"cells": stack}) as server:
        first, second = server.cells(label="a"), server.cells(label="b")
        for task_id in (first, second):
            server.wait(task_id)
        visitor = visit(server.url(f"/ui/compare?a={first}&b={second}"))
        page = visitor.page
        page.get_by_role("button", name="Compare the images").first.click()
        visitor.see("Frame 1 of 2")
        visitor.see("B has 1 more frame")
        visitor.see("no pixel differs")
        page.get_by_role("slider", name="Frame").press("ArrowRight")
        visitor.see("Frame 2 of 2")
        visitor.see("100.00 % of the pixels, by up to 255")
        assert visitor.accessibility_violations() == []


def test_metadata_is_shown_and_leads_to_the_tasks_with_the_same(served: PageServer, visit: Open) -> None:
    values = {"cohort": "B 2", "runs": {"a": [1, 2]}, "long": "x" * 300, "<b>": "<i>"}
    task = {"bundle": "cells.zip", "inputs": {"image": "@cells.png", "mode": "fast"}, "metadata": values}
    task_id = served.request("POST", "/task", {"task": task, "assigned_by": "test"})["task_id"]
    served.wait(task_id)
    other = served.cells()
    visitor = visit(served.url())
    visitor.see("cohort=B 2")
    visitor.see("+2")
    visitor.page.get_by_role("link", name="Count cells").last.click()
    visitor.see('{"a":[1,2]}')
    visitor.see("<i>")
    assert visitor.overflow() <= 0
    assert visitor.accessibility_violations() == []
    visitor.page.get_by_role("link", name="B 2").click()
    visitor.until("() => document.querySelectorAll('.line.item').length === 1")
    assert other[:8] not in visitor.text()


def test_a_failure_is_explained_and_the_end_of_a_task_is_announced(served: PageServer, visit: Open) -> None:
    task_id = served.cells("wait")
    visitor = visit(served.url(f"/ui/task/{task_id}"))
    visitor.see("waiting for a signal")
    visitor.page.get_by_role("button", name="Kill").click()
    visitor.see("Kill this task?")
    visitor.page.get_by_role("button", name="Kill").click()
    visitor.see("Killed")
    visitor.until(
        "() => /killed/i.test(document.querySelector('[aria-live=polite][role=status]').textContent)"
    )
    failed = served.cells("fail")
    served.wait(failed)
    visitor.page.goto(served.url(f"/ui/task/{failed}"))
    visitor.see("exit code 3")
    visitor.see("EXIT_NONZERO")
    assert "\x1b" not in visitor.text()


def test_a_task_runs_again_and_starts_a_form_with_its_inputs(served: PageServer, visit: Open) -> None:
    task_id = served.cells(threshold=90)
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}"))
    visitor.page.get_by_role("button", name="Run again").click()
    visitor.until(
        "(id) => location.pathname.startsWith('/ui/task/') && !location.pathname.endsWith(id)", task_id
    )
    visitor.page.goto(served.url(f"/ui/task/{task_id}"))
    visitor.page.get_by_role("link", name="Change and run").click()
    threshold = visitor.page.get_by_role("textbox", name="Threshold")
    threshold.wait_for()
    assert threshold.input_value() == "90"


def test_files_are_downloaded(served: PageServer, visit: Open) -> None:
    task_id = served.cells()
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}"), accept_downloads=True)
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="Download report").click()
    assert '"cells": 4' in download.value.path().read_text()


@pytest.mark.parametrize("key", ["outputs/report", "outputs/mask"])
def test_what_is_open_is_in_the_address(served: PageServer, visit: Open, key: str) -> None:
    task_id = served.cells()
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}?show={key}"))
    visitor.page.get_by_role("region", name=f"Viewer: {key}").wait_for()
