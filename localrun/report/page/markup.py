"""Build HTML and SVG from untrusted text: everything is escaped unless it is `Markup` already."""

from __future__ import annotations

import html
from collections.abc import Iterable

from localrun.console.display.sanitize import escape_lines
from localrun.undecodable import escape

_VOID = frozenset({"meta", "img", "br", "image", "rect", "path", "line", "circle", "polyline"})


class Markup(str):
    """HTML that needs no escaping."""

    __slots__ = ()


Child = Markup | str | int | float | None | Iterable["Child"]


def text(value: object) -> Markup:
    """Return text as HTML, with control characters shown as `\\x1b`."""
    return Markup(html.escape(escape(escape_lines(str(value)))))


def join(*children: Child) -> Markup:
    """Return children one after the other; text is escaped, None is nothing."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif child is None:
            continue
        elif isinstance(child, str | int | float):
            parts.append(text(child))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """Return an element. `class_` and `stroke_width` are written as `class` and `stroke-width`.

    An attribute that is None is left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{join(*children)}</{name}>")


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], caption: str) -> Markup:
    """Return a table; nothing without rows. The caption is for screen readers."""
    body = [tag("tr", *(tag("td", cell) for cell in row)) for row in rows]
    if not body:
        return Markup()
    titles = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    return tag("table", tag("caption", caption), tag("thead", titles), tag("tbody", *body))
