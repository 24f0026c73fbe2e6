"""A window of a browser, and what went wrong in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

AXE = Path(__file__).parents[2] / "localrun/server/ui/node_modules/axe-core/axe.min.js"
_LOCAL = {"127.0.0.1", "localhost", "::1", ""}
_VIOLATIONS = """
window.__violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.__violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


class Visitor:
    """A window that records errors, violations of the policy, and requests to other machines."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.add_init_script(_VIOLATIONS)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._on_console)
        page.on("request", self._on_request)
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))

    def _on_console(self, message: ConsoleMessage) -> None:
        # failed requests are part of some tests, and the page shows them
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        self.requests.append(request.url)
        if (
            urlsplit(request.url).scheme not in ("blob", "data")
            and urlsplit(request.url).hostname not in _LOCAL
        ):
            self.problems.append(f"request: {request.url}")

    def check(self) -> None:
        """Raise AssertionError if anything went wrong."""
        self.problems += [f"policy: {text}" for text in self.page.evaluate("window.__violations || []")]
        assert not self.problems, self.problems

    def accessibility_violations(self) -> list[str]:
        """Return what axe-core finds on the page as it is."""
        self.page.evaluate(AXE.read_text() + "\n;undefined")
        found: dict[str, Any] = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((r) => ({violations: r.violations}))"
        )
        return [_described(one) for one in found["violations"]]

    def text(self, selector: str = "main") -> str:
        return self.page.locator(selector).first.inner_text()

    def see(self, text: str, selector: str = "main") -> None:
        """Wait until a text is visible."""
        self.page.locator(selector).get_by_text(text).first.wait_for(state="visible")

    def until(self, expression: str, argument: Any = None) -> None:
        """Wait until a function in JavaScript returns true. One that fails is called again."""
        guarded = f"(argument) => {{ try {{ return ({expression})(argument); }} catch {{ return false; }} }}"
        self.page.wait_for_function(guarded, arg=argument)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        root = "document.documentElement"
        found: int = self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
        return found


def _described(violation: dict[str, Any]) -> str:
    nodes = violation["nodes"]
    places = json.dumps([node["html"][:200] for node in nodes[:3]])
    return f"{violation['id']}: {places} {nodes[0]['failureSummary'][:300]}"
