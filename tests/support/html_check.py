"""Check that HTML is static: no scripts, no handlers, and nothing that is loaded."""

from __future__ import annotations

from html.parser import HTMLParser

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "div", "span"),
    *("h1", "h2", "p", "strong", "small", "code", "pre", "ul", "li", "table", "caption", "thead", "tbody"),
    *("tr", "th", "td", "figure", "figcaption", "svg", "g", "image", "path", "circle", "rect", "line"),
    *("polyline", "text", "tspan"),
}
ATTRIBUTES = {
    *("lang", "charset", "content", "name", "class", "style", "scope", "role", "href", "width", "height"),
    *("viewbox", "d", "cx", "cy", "r", "x", "y", "x1", "x2", "y1", "y2", "dy", "points", "transform", "fill"),
    *("stroke", "fill-opacity", "stroke-width", "fill-rule", "aria-label", "aria-hidden", "http-equiv"),
}


class StaticPage(HTMLParser):
    """The text of a page. Raises `AssertionError` for anything active in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.titles: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS, tag
        assert {name for name, _ in attrs} <= ATTRIBUTES, attrs
        self._open.append(tag)
        for name, value in attrs:
            if name == "href":
                assert value is not None
                assert value.startswith(("data:image/png;", "data:image/jpeg;")), value[:100]
                self.links.append(value)
            if name == "style":
                assert "url(" not in (value or "")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            assert "@import" not in data
            assert "url(" not in data
        elif self._open[-1:] == ["title"]:
            self.titles.append(data)
        else:
            self.text += data
