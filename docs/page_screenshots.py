"""Draw docs/assets/page-*.png: the web page with real runs of samples, for the README.

`make screenshot` calls it. It needs a Docker engine, the base image of the samples (`make base`), the page
(`make ui`) and Chromium.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "docs/assets"
BASE_IMAGE = os.environ.get("BASE_IMAGE", "localrun-base/python")
SIZE: Any = {"width": 1180, "height": 1180}
_LOCALRUN = [sys.executable, "-m", "localrun"]
# the middle of each map is a pixel of its image
_IS_DRAWN = """() => {
  const maps = [...document.querySelectorAll(".map")];
  return maps.length && maps.every((map) => {
    const canvas = map.querySelector("canvas");
    const pixel = (context) => context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    return canvas && pixel(canvas.getContext("2d"))[3] > 0;
  });
}"""
_CELLS = {"image": "@cells.png"}


def main() -> int:
    """Draw the pictures and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="localrun-screenshot-") as name:
        folder = Path(name, "project")
        folder.mkdir()
        _prepare(folder)
        with _serving(folder) as address, _browser() as page:
            # slow enough for some samples of its usage
            first = _run(address, "count-cells.zip", _CELLS, cpus=0.1)
            second = _run(address, "count-cells.zip", {**_CELLS, "threshold": 80})
            _task(page, f"{address}/ui/task/{first}")
            _draw(page, "page-task.png")
            page.goto(f"{address}/ui/compare?a={first}&b={second}")
            page.get_by_role("button", name="Compare the images").first.click()
            page.get_by_text("% of the pixels").wait_for()
            page.wait_for_function(_IS_DRAWN)
            _draw(page, "page-compare.png")
    return 0


def _prepare(folder: Path) -> None:
    build = ["build", str(ROOT / "samples/count-cells"), "-o", "count-cells.zip"]
    command = [*_LOCALRUN, *build, "--build-arg", f"BASE_IMAGE={BASE_IMAGE}"]
    subprocess.run(command, cwd=folder, env=_environment(folder), capture_output=True, check=True)
    shutil.copy(ROOT / "samples/count-cells/cells.png", folder)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCALRUN_")}
    return {**kept, "LOCALRUN_CACHE": str(folder / ".cache"), "PYTHONPATH": str(ROOT)}


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """Run a server in a folder. Yield its address."""
    command = [*_LOCALRUN, "serve", "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            found = None
            while found is None:
                line = process.stdout.readline()
                assert line, "the server did not start"
                found = re.search(r"http://[\d.]+:\d+", line)
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _run(address: str, bundle: str, inputs: dict[str, Any], **resources: float) -> str:
    """Run a task. Return its id."""
    body = {"task": {"bundle": bundle, "inputs": inputs, "resources": resources}, "assigned_by": "me"}
    request = urllib.request.Request(f"{address}/task", json.dumps(body).encode())
    with urllib.request.urlopen(request) as response:
        task_id = str(json.loads(response.read())["task_id"])
    with urllib.request.urlopen(f"{address}/task/{task_id}/wait?timeout=120") as response:
        assert json.loads(response.read())["task"]["state"] == "FINISHED"
    return task_id


@contextmanager
def _browser() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser.new_page(viewport=SIZE, color_scheme="light")
        browser.close()


def _task(page: Page, address: str) -> None:
    """Open a task and wait until all of it is drawn."""
    page.goto(address)
    page.locator(".chart canvas").nth(2).wait_for()
    assert tempfile.gettempdir() not in page.locator("header.task-head").inner_text()
    page.wait_for_function(_IS_DRAWN)


def _draw(page: Page, name: str) -> None:
    """Write a picture with few colours, which is a quarter of the size."""
    path = ASSETS / name
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
