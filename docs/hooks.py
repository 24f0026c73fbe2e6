"""What the site has beside docs/: pages that stand elsewhere in the repository, and their links.

The README is the first page of the site, and each sample's README is a page. A link between any two of these
files is written as it leads through the repository; here it is turned into one that leads through the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
DOCS = "docs"
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
    "samples/README.md": "samples/index.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_PICTURES = (".png", ".svg")


def _pages() -> Iterator[tuple[str, str]]:
    """Each page that is not in docs/: its path in the repository and in the site."""
    yield from ELSEWHERE.items()
    for path in sorted(ROOT.glob("samples/*/README.md")):
        yield path.relative_to(ROOT).as_posix(), f"samples/{path.parent.name}.md"


PAGES = dict(_pages())
_SOURCES = {there: here for here, there in PAGES.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the pictures that they show."""
    for here, there in PAGES.items():
        files.append(File.generated(config, there, abs_src_path=str(ROOT / here)))
        for picture in _shown(here):
            if picture not in {file.src_uri for file in files}:
                files.append(File.generated(config, picture, abs_src_path=str(ROOT / picture)))
    return files


def _shown(here: str) -> Iterator[str]:
    """The pictures of a page that are not in docs/, by their paths in the repository and in the site."""
    for _, _, target, _ in _LINK.findall((ROOT / here).read_text()):
        path = _leads_to(here, target)
        if path.endswith(_PICTURES) and not path.startswith(f"{DOCS}/") and (ROOT / path).is_file():
            yield path


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn the links of a page into those of the site, and tell commands from what they print."""
    site = page.file.src_uri
    here = _SOURCES.get(site, f"{DOCS}/{site}")
    markdown = markdown.replace("\n```sh\n$ ", "\n```console\n$ ")
    return _LINK.sub(lambda found: _turned(found, here, site), markdown)


def _turned(found: re.Match[str], here: str, site: str) -> str:
    mark, words, target, anchor = found.groups(default="")
    if not target or ":" in target:
        return found[0]
    path = _leads_to(here, target)
    there = _in_site(path)
    if there is None:  # what is not a part of the site is named, and not linked
        return words if (ROOT / path).exists() else found[0]
    return f"{mark}[{words}]({posixpath.relpath(there, posixpath.dirname(site) or '.')}{anchor})"


def _leads_to(here: str, target: str) -> str:
    return posixpath.normpath(str(PurePosixPath(here).parent / target))


def _in_site(path: str) -> str | None:
    """Where a file of the repository is in the site; None when it is no part of it."""
    readme = f"{path}/README.md"
    if path in PAGES or readme in PAGES:
        return PAGES.get(path) or PAGES[readme]
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return path if path.endswith(_PICTURES) and (ROOT / path).is_file() else None
