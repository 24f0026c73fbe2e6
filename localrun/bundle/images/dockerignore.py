"""`.dockerignore`: the files of a folder that a build excludes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|\\.|.", re.DOTALL)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Ignore:
    """The patterns of a `.dockerignore`. The last one that matches a path or one of its parents applies."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._rules = [rule for line in lines if (rule := _rule(line))]
        self.has_exceptions = any(not ignored for ignored, _ in self._rules)

    def __call__(self, path: str) -> bool:
        """Return whether a path (relative, with `/`) is excluded."""
        candidates = list(_with_parents(path))
        verdict = False
        for ignored, pattern in self._rules:
            if ignored is not verdict and any(map(pattern.fullmatch, candidates)):
                verdict = ignored
        return verdict


def _with_parents(path: str) -> Iterable[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


def _rule(line: str) -> tuple[bool, re.Pattern[str]] | None:
    text = line.strip()
    if not text or line.startswith("#"):
        return None
    ignored = not text.startswith("!")
    text = posixpath.normpath(text.removeprefix("!").strip()).lstrip("/")
    if text in ("", "."):
        return None
    try:
        return ignored, re.compile("".join(map(_piece, _PIECE.findall(text))), re.DOTALL)
    except re.error:
        return None  # the engine reports it


def _piece(text: str) -> str:
    if text in _WILD:
        return _WILD[text]
    if text.startswith("[") and len(text) > 1:
        return text.replace("\\", "\\\\")
    return re.escape(text[-1])
