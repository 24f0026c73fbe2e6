"""Add pages from outside docs/ to the site, such as the README and those of the samples.

Links between these files are relative to the repository; here they are rewritten for the site.
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
    "SECURITY.md": "security-policy.md",
    "benchmarks/README.md": "benchmarks.md",
    "samples/README.md": "samples/index.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_PICTURES = (".png", ".svg")


def _pages() -> Iterator[tuple[str, str]]:
    """Yield each page outside docs/: its path in the repository and in the site."""
    yield from ELSEWHERE.items()
    for path in sorted(ROOT.glob("samples/*/README.md")):
        yield path.relative_to(ROOT).as_posix(), f"samples/{path.parent.name}.md"


PAGES = dict(_pages())
_SOURCES = {there: here for here, there in PAGES.items()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and their images."""
    for here, there in PAGES.items():
        files.append(File.generated(config, there, abs_src_path=str(ROOT / here)))
        for picture in _shown(here):
            if picture not in {file.src_uri for file in files}:
                files.append(File.generated(config, picture, abs_src_path=str(ROOT / picture)))
    return files


def _shown(here: str) -> Iterator[str]:
    """Yield the paths of a page's images outside docs/, which are the same in the site."""
    for _, _, target, _ in _LINK.findall((ROOT / here).read_text()):
        path = _leads_to(here, target)
        if path.endswith(_PICTURES) and not path.startswith(f"{DOCS}/") and (ROOT / path).is_file():
            yield path


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrite the links of a page for the site, and highlight its shell sessions."""
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
    if there is None:  # outside the site: keep the text without a link
        return words if (ROOT / path).exists() else found[0]
    return f"{mark}[{words}]({posixpath.relpath(there, posixpath.dirname(site) or '.')}{anchor})"


def _leads_to(here: str, target: str) -> str:
    return posixpath.normpath(str(PurePosixPath(here).parent / target))


def _in_site(path: str) -> str | None:
    """Return the path of a repository file in the site, or None if the site does not have it."""
    readme = f"{path}/README.md"
    if path in PAGES or readme in PAGES:
        return PAGES.get(path) or PAGES[readme]
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    return path if path.endswith(_PICTURES) and (ROOT / path).is_file() else None
