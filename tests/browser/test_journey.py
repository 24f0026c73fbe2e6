"""A user's way through the page, with the samples on a real engine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, Open
from tests.support.samples import BASE_IMAGE, remove_new_images
from tests.support.server_process import serving

pytestmark = pytest.mark.docker
SAMPLES = ("count-cells", "ripple-tank", "broken-exit-code")
IS_TASK = "() => location.pathname.startsWith('/ui/task/')"
IMAGE = "document.querySelector('.map canvas')"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address of `python main.py` in a folder with samples."""
    for name in SAMPLES:
        folder = tmp_path / "samples" / name
        shutil.copytree(ROOT / "samples" / name, folder)
        dockerfile = folder / "Dockerfile"
        dockerfile.write_text(
            re.sub(r"(?m)^ARG BASE_IMAGE=.*$", f"ARG BASE_IMAGE={BASE_IMAGE}", dockerfile.read_text())
        )
    with remove_new_images(tmp_path / ".localrun"), serving(tmp_path) as server:
        yield server.address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_run_a_sample_look_at_it_compare_kill_and_read_why_one_failed(
    address: str, visit: Open, tmp_path: Path, scheme: str
) -> None:
    # Given the page of a server without tasks
    visitor = visit(f"{address}/", color_scheme=scheme)
    page = visitor.page
    page.set_default_timeout(120_000)
    visitor.see("No tasks yet")

    # When count-cells is run from its form
    page.get_by_role("link", name="Count cells").click()
    page.get_by_label("Image", exact=True).set_input_files(ROOT / "samples/count-cells/cells.png")
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until(IS_TASK)
    first = page.url.rpartition("/")[2]

    # Then its log and its outlines on the image are shown
    visitor.see("Finished")
    visitor.see("outlines (1)")
    visitor.until(f"() => {IMAGE}.getContext('2d').getImageData({IMAGE}.width / 2, 30, 1, 1).data[3] > 0")
    page.get_by_role("region", name="Log").get_by_text("2 lines").first.wait_for()
    assert page.locator(".log-line").first.inner_text().strip()

    # When it is run again with another threshold, and both are compared
    page.get_by_role("link", name="Change and run").click()
    page.get_by_role("textbox", name="Threshold").fill("80")
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until(f"() => ({IS_TASK})() && !location.pathname.endsWith('{first}')")
    second = page.url.rpartition("/")[2]
    visitor.see("Finished")
    page.goto(f"{address}/ui/compare?a={first}&b={second}")
    visitor.see("mean_area")
    page.get_by_role("button", name="Compare the images").first.click()
    visitor.see("% of the pixels")

    # When a long task is killed, Then the page says so
    page.goto(f"{address}/ui/run?bundle=samples/ripple-tank&in.steps=100000")
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until(IS_TASK)
    visitor.see("steps a second")
    page.get_by_role("button", name="Kill").click()
    page.get_by_role("button", name="Kill").click()
    visitor.see("Killed")

    # When a task fails, Then the page says why, with the end of its log
    page.goto(f"{address}/ui/run?bundle=samples/broken-exit-code&in.value=3")
    page.get_by_role("button", name="Run", exact=True).click()
    visitor.until(IS_TASK)
    visitor.see("EXIT_NONZERO")
    visitor.see("no model for this value")
    assert visitor.accessibility_violations() == []
