"""The parts that every chapter is made of: headings, tables, and text that Markdown leaves as it is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NOTICE = "<!-- Made from the program by docs/generate.py: change it there, then `make reference`. -->"

WIDTH = 118


@dataclass
class Page:
    """A page in the making; `title` is its heading, `about` the paragraph below it."""

    title: str
    about: str
    parts: list[str] = field(default_factory=list)

    def head(self, text: str, level: int = 2) -> None:
        """A heading."""
        self.parts.append(f"{'#' * level} {text}")

    def prose(self, text: str) -> None:
        """A paragraph, or several."""
        for paragraph in text.strip().split("\n\n"):
            if paragraph:
                self.parts.append(_filled(paragraph))

    def code(self, text: str, language: str = "text") -> None:
        """A block that is shown as it is."""
        self.parts.append(f"```{language}\n{text.rstrip()}\n```")

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table; none when it has no rows."""
        lines = [f"| {' | '.join(map(cell, row))} |".replace("|  |", "| |") for row in rows]
        if lines:
            head = f"| {' | '.join(heads)} |"
            self.parts.append("\n".join([head, "|---" * len(heads) + "|", *lines]))

    @property
    def text(self) -> str:
        """The page as Markdown."""
        return "\n\n".join([f"# {self.title}", NOTICE, _filled(self.about), *self.parts]) + "\n"


def _filled(paragraph: str) -> str:
    """A paragraph in lines of the usual length; lists and blocks of code stay as they are."""
    if paragraph.startswith(("- ", "```", "|")):
        return paragraph
    return textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)


def cell(text: str) -> str:
    """Text as it can stand in a table: on one line, with no tag, and with no bar that would end the cell."""
    parts = " ".join(text.split()).split("`")
    return "".join(_code(part) if n % 2 else _words(part) for n, part in enumerate(parts))


def _code(text: str) -> str:
    # between backticks a bar would end the cell, or be shown with its escape
    bars = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return f"<code>{bars}</code>" if "|" in text else f"`{text}`"


def _words(text: str) -> str:
    return text.replace("|", "&#124;").replace("<", "&lt;")


def code(text: object) -> str:
    """A word as code."""
    return f"`{text}`"


def sentence(text: str) -> str:
    """Text that begins and ends as a sentence does, its lines joined."""
    joined = " ".join(text.split())
    joined = joined[:1].upper() + joined[1:]
    return joined if not joined or joined[-1] in ".!?:" else f"{joined}."


def anchor(heading: str) -> str:
    """The name by which a link finds a heading of that text."""
    return re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
