"""What the first visit loads."""

from __future__ import annotations

import gzip
import re

from tests.browser.conftest import ASSETS, Open
from tests.support.page_server import PageServer

LIMIT = 60 * 1024  # bytes, compressed


def test_the_first_load_is_small_and_charts_and_viewer_are_loaded_when_needed(
    served: PageServer, visit: Open
) -> None:
    visitor = visit(served.url())
    visitor.see("No tasks yet")
    loaded = {url.split("/ui/")[1] for url in visitor.requests if "/ui/" in url} | {"index.html"}
    files = [ASSETS / name for name in loaded if (ASSETS / name).is_file()]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= LIMIT
    text = "".join(path.read_text() for path in files if path.suffix == ".js")
    assert "uPlot" not in text
    assert "ol-viewport" not in text


def test_the_licences_of_all_packages_are_published() -> None:
    text = (ASSETS / "licenses.txt").read_text()
    for name in ("preact", "uplot", "ol", "rbush"):
        assert re.search(rf"^{name} \d", text, re.MULTILINE), name


def test_no_file_of_the_page_names_another_machine() -> None:
    for path in ASSETS.rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            found = re.findall(
                r"(?:src|href|url|import|fetch)\W{0,3}(https?://[^\"'`\s)]+)", path.read_text()
            )
            assert found == [], (path.name, found)
