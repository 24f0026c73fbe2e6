"""Fixtures for tests of the web page in Chromium. `make browser` runs them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.page_server import PageServer

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "localrun/server/ui/assets"
Open = Callable[..., Visitor]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and leave them out unless `-m browser` asks for them."""
    own = {item: None for item in items if item.nodeid.startswith("tests/browser/")}
    for item in own:
        item.add_marker("browser")
    if "browser" not in config.option.markexpr:
        config.hook.pytest_deselected(items=list(own))
        items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, as Debian packages it or as LOCALRUN_CHROMIUM names it."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("LOCALRUN_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "chromium not found (Debian: chromium)"
    assert (ASSETS / "index.html").exists(), "the web page is not built; run `make ui`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
    for thread in threading.enumerate():
        if thread.name.startswith("asyncio-waitpid"):  # waits for the processes of Playwright
            thread.join(60)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Open]:
    """Open an address in a new window. At the end, nothing must have gone wrong in any of them.

    Arguments are those of Playwright's `new_context`, e.g. `color_scheme`.
    """
    visitors: list[Visitor] = []

    def start(address: str, **options: Any) -> Visitor:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 860}, **options})
        context.set_default_timeout(30_000)
        visitor = Visitor(context.new_page())
        visitors.append(visitor)
        visitor.page.goto(address)
        return visitor

    yield start
    try:
        for visitor in visitors:
            visitor.check()
    finally:
        for visitor in visitors:
            visitor.page.context.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageServer]:
    from tests.support.page_server import serve_page

    with serve_page(tmp_path) as server:
        yield server
