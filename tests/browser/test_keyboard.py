"""The page without a mouse."""

from __future__ import annotations

from tests.browser.conftest import Open
from tests.support.page_server import PageServer


def test_two_tasks_are_found_selected_compared_and_opened_with_keys(served: PageServer, visit: Open) -> None:
    first, second = served.cells(), served.cells(threshold=120)
    served.wait(first)
    served.wait(second)
    visitor = visit(served.url())
    keys = visitor.page.keyboard
    visitor.see(first[:8])
    visitor.see(second[:8])
    keys.press("/")
    assert visitor.page.evaluate("document.activeElement.type") == "search"
    keys.type("state:FINISHED jk")
    keys.press("Escape")
    visitor.see("No task matches")
    keys.press("/")
    keys.press("Control+a")
    keys.press("Delete")
    keys.press("Escape")
    visitor.see(second[:8])
    for key in "jxjxc":
        keys.press(key)
    visitor.until("() => location.pathname === '/ui/compare'")
    visitor.see("Different")
    visitor.page.go_back()
    visitor.see(second[:8])
    keys.press("j")
    keys.press("Enter")
    visitor.until("(id) => location.pathname === `/ui/task/${id}`", second)
    visitor.see("outlines (2)")
    keys.press("r")
    visitor.until("(id) => location.pathname !== `/ui/task/${id}`", second)
    keys.press("?")
    visitor.see("follow the log", selector="body")
    keys.press("Escape")
    visitor.until("() => !document.querySelector('.keys')")


def test_everything_is_reached_with_the_tab_key(served: PageServer, visit: Open) -> None:
    task_id = served.cells()
    served.wait(task_id)
    visitor = visit(served.url(f"/ui/task/{task_id}"))
    visitor.see("outlines (4)")
    visitor.page.locator("body").press("Tab")
    visitor.see("Skip to the content", selector=".page")
    visitor.page.keyboard.press("Enter")
    assert visitor.page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(80):
        visitor.page.keyboard.press("Tab")
        reached.add(
            visitor.page.evaluate(
                "(() => { const e = document.activeElement;"
                " return (e.getAttribute('aria-label') || e.innerText || e.tagName).trim(); })()"
            )
        )
    wanted = {"Run again", "Commands", "Time in the timeline", "Zoom in", "View", "Find in the log", "Follow"}
    assert wanted <= reached, reached
