"""The files of the built web page, which `make ui` writes."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response

FOLDER = Path(__file__).parents[1] / "ui" / "assets"

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_VIEWS = re.compile(
    r"((task|batch)/[^/]+|batches|run|compare|queue|events)/?"
)  # of the page: its own history entries
_HASHED = re.compile(r"static/.*-[\w-]{8,}\.\w+")  # the name changes with the content
_MAX_SIZE = 16 * 1024**2  # bytes of a file
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
_COMPRESSED = frozenset({".png", ".webp", ".woff2", ".ico"})  # already

_TEXT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - localrun</title>
<h1>{title}</h1>
{text}
<p>The <a href="/docs">documentation of the HTTP API</a> works without it.</p>
</html>
"""
_NOT_BUILT = """<p>This copy of localrun has no web page: it was built from a checkout without Node.</p>
<p>In the checkout, run <code>make ui</code> and reload this page. Released packages contain the page.</p>"""
_NOT_FOUND = """<p>The page has no such view or file.</p>
<p><a href="/ui/">All tasks</a></p>"""


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file of the page, also compressed if that is smaller."""

    data: bytes
    compressed: bytes | None
    type: str
    tag: str
    is_hashed: bool


class PageAssets:
    """The files of the page below a folder, kept in memory. A file that changes is read again."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._assets: dict[str, tuple[tuple[int, int], _Asset]] = {}

    def respond(self, path: str, headers: Mapping[str, str]) -> Response:
        """Return the response for a path below `/ui/`: a file, or `index.html` for a view."""
        asset = self._find("index.html" if path == "" or _VIEWS.fullmatch(path) else path)
        if asset is not None:
            return _respond(asset, headers)
        if self._find("index.html") is None:
            return _page(200, "The web page is not built", _NOT_BUILT)
        return _page(404, "404 Not Found", _NOT_FOUND)

    def _find(self, name: str) -> _Asset | None:
        parts = name.split("/")
        if any(part.startswith(".") or part == "" or "\0" in part or "\\" in part for part in parts):
            return None
        try:
            path = self._folder.joinpath(*parts).resolve(strict=True)
            status = path.stat()
            key = (status.st_mtime_ns, status.st_size)
            known = self._assets.get(name)
            if known is not None and known[0] == key:
                return known[1]
            is_inside = path.is_relative_to(self._folder.resolve())
            if not is_inside or not path.is_file() or status.st_size > _MAX_SIZE:
                return None
            asset = _asset(name, path.read_bytes())
        except (OSError, ValueError, RuntimeError):  # missing, not encodable, a loop of links
            return None
        self._assets[name] = (key, asset)
        return asset


def _asset(name: str, data: bytes) -> _Asset:
    suffix = Path(name).suffix.lower()
    packed = None if suffix in _COMPRESSED else gzip.compress(data, 9, mtime=0)
    return _Asset(
        data=data,
        compressed=packed if packed is not None and len(packed) < len(data) else None,
        type=_TYPES.get(suffix, "application/octet-stream"),
        tag=f'"{sha256(data).hexdigest()[:20]}"',
        is_hashed=_HASHED.fullmatch(name) is not None,
    )


def _respond(asset: _Asset, headers: Mapping[str, str]) -> Response:
    caching = "public, max-age=31536000, immutable" if asset.is_hashed else "no-cache"
    sent = {**PAGE_HEADERS, "Cache-Control": caching, "ETag": asset.tag, "Vary": "Accept-Encoding"}
    if asset.tag in [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=sent)
    if asset.compressed is not None and _accepts_gzip(headers.get("accept-encoding", "")):
        return Response(asset.compressed, 200, {**sent, "Content-Encoding": "gzip"}, asset.type)
    return Response(asset.data, 200, sent, asset.type)


def _accepts_gzip(accepted: str) -> bool:
    for item in accepted.lower().split(","):
        name, _, quality = item.partition(";")
        if name.strip() in ("gzip", "*") and not re.fullmatch(r"q=0(\.0*)?", quality.strip()):
            return True
    return False


def _page(status: int, title: str, text: str) -> Response:
    headers = {**PAGE_HEADERS, "Cache-Control": "no-store"}
    return Response(_TEXT.format(title=title, text=text), status, headers, "text/html; charset=utf-8")
