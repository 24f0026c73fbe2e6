"""The list of tasks."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from tests.browser.conftest import Open
from tests.support.page_server import PageServer, serve_page

HAS_STATE = "(word) => [...document.querySelectorAll('.item .state')].some((one) => one.textContent === word)"
LONG_NAME = "A task with a rather long name that does not fit into its column "
ROWS = "[role=row][aria-rowindex]:not([aria-rowindex='1'])"


def test_a_server_without_tasks_says_how_to_make_one(served: PageServer, visit: Open) -> None:
    visitor = visit(served.url("/"))
    visitor.see("No tasks yet")
    visitor.see("curl -X POST")
    visitor.page.get_by_role("link", name="Count cells").click()
    visitor.see("Threshold")
    assert visitor.page.url.endswith("/ui/run?bundle=cells.zip")


def test_a_task_appears_and_changes_without_a_reload(served: PageServer, visit: Open) -> None:
    first = served.cells()
    visitor = visit(served.url())
    visitor.page.locator(ROWS).first.wait_for()
    second = served.cells("wait")
    visitor.see(second[:8])
    visitor.until(
        "() => [...document.querySelectorAll('[role=row]')].some((row) => /Running/.test(row.textContent))"
    )
    served.request("POST", f"/task/{second}/kill?grace=0")
    visitor.until(
        "() => [...document.querySelectorAll('[role=row]')].some((row) => /Killed/.test(row.textContent))"
    )
    assert first[:8] in visitor.text()


def test_a_task_shows_what_it_waits_for(served: PageServer, visit: Open) -> None:
    visitor = visit(served.url())
    visitor.see("No tasks yet")
    task_id = served.submit("cells.zip", mode="fast")
    visitor.see("waiting for inputs: image")
    visitor.page.goto(served.url(f"/ui/task/{task_id}"))
    visitor.see("waiting for inputs: image")
    assert visitor.page.get_by_role("button", name="Run again").count() == 0


HELD = """() => {
  const real = window.fetch;
  const gate = new Promise((release) => { window.release = release; });
  window.fetch = async (...request) => {
    const response = await real(...request);
    if (String(request[0]).startsWith("/tasks?")) { window.isHeld = true; await gate; }
    return response;
  };
}"""


def test_a_list_that_arrives_late_does_not_undo_what_happened_in_the_meantime(
    served: PageServer, visit: Open
) -> None:
    visitor = visit(served.url())
    visitor.see("No tasks yet")
    visitor.see("live", selector=".top")
    visitor.page.evaluate(HELD)
    task_id = served.submit("cells.zip")
    visitor.until("() => window.isHeld")
    url = served.url(f"/task/{task_id}/inputs/mode")
    with urllib.request.urlopen(urllib.request.Request(url, b"fast", method="PUT"), timeout=60):
        visitor.page.wait_for_timeout(300)  # the event usually arrives; if not, the test passes anyway
    visitor.page.evaluate("window.release()")
    visitor.until(
        "() => [...document.querySelectorAll('.item .c-cause')]"
        ".some((one) => one.textContent === 'waiting for inputs: image')"
    )


def test_rows_do_not_move_under_the_pointer(served: PageServer, visit: Open) -> None:
    served.wait(served.cells())
    visitor = visit(served.url())
    visitor.page.locator(ROWS).first.hover()
    new = served.cells()
    served.wait(new)
    visitor.see("Show 1 new task")
    assert visitor.page.locator(ROWS).count() == 1
    visitor.page.get_by_role("button", name="Show 1 new task").click()
    visitor.see(new[:8])


def test_states_are_filters_and_a_search_is_in_the_address(served: PageServer, visit: Open) -> None:
    served.wait(served.cells())
    failed = served.cells("fail")
    served.wait(failed)
    visitor = visit(served.url())
    visitor.page.get_by_role("button", name="Failed").click()
    visitor.until("() => document.querySelectorAll('[role=rowgroup] [role=row]').length === 1")
    visitor.see(failed[:8])
    assert "q=state%3AFAILED" in visitor.page.url
    visitor.page.reload()
    visitor.see(failed[:8])
    search = visitor.page.get_by_role("searchbox", name="Search tasks")
    assert search.input_value() == "state:FAILED"
    search.fill("staet:FAILED")
    visitor.see("did you mean")
    search.fill("no such words")
    visitor.see("No task matches")


def test_several_tasks_are_killed_and_removed_after_a_question(served: PageServer, visit: Open) -> None:
    running, ended = served.cells("wait"), served.cells()
    served.wait(ended)
    visitor = visit(served.url())
    for task_id in (running, ended):
        visitor.page.get_by_role("checkbox", name=task_id[:8]).check()
    bar = visitor.page.get_by_role("region", name="Selected tasks")
    bar.get_by_role("button", name="Kill").click()
    bar.get_by_text("Kill 1 active task?").wait_for()
    bar.get_by_role("button", name="Kill").click()
    assert served.wait(running)["state"] == "KILLED"
    visitor.until("() => !document.querySelector('.selection')")
    visitor.page.get_by_role("checkbox", name=ended[:8]).check()
    bar.get_by_role("button", name="Remove").click()
    bar.get_by_role("button", name="Remove").click()
    visitor.page.get_by_role("checkbox", name=ended[:8]).wait_for(state="detached")


@pytest.fixture
def many(tmp_path: Path) -> int:
    """The home of a server with ten thousand ended tasks."""
    from localrun.task.store import TaskStore

    count = 10_000
    store = TaskStore(tmp_path / ".localrun")
    for number in range(count):
        at = 1_700_000_000.0 + number
        workspace = store.create(f"task-{number:05}")
        record = TaskRecord(
            id=f"task-{number:05}",
            bundle="cells.zip",
            name="A task with a rather long name that does not fit into its column " * (number % 7 == 0)
            or "Count",
            state=TaskState.FINISHED if number % 5 else TaskState.FAILED,
            cause=None if number % 5 else "OUT_OF_MEMORY",
            history=[(TaskState.CREATED, at), (TaskState.FINISHED, at + 1)],
            outputs={"count": number},
            folder=str(workspace.path),
        )
        workspace.save(record)
    return count


def test_ten_thousand_tasks_are_one_list_with_few_elements(tmp_path: Path, many: int, visit: Open) -> None:
    with serve_page(tmp_path, settings={"keep_completed": many}) as server:
        visitor = visit(server.url())
        visitor.see("10,000 tasks")
        visitor.page.locator("[title='task-09999']").wait_for()
        elements = "document.querySelectorAll('*').length"
        assert visitor.page.evaluate(elements) < 3000
        visitor.page.evaluate("document.querySelector('.virtual').scrollTop = 1e9")
        visitor.until("() => document.querySelector(\"[role=row][aria-rowindex='10001'] a\")")
        assert visitor.page.evaluate(elements) < 3000
        assert visitor.accessibility_violations() == []
        visitor.page.evaluate("document.querySelector('.virtual').scrollTop = 0")
        visitor.page.get_by_role("searchbox", name="Search tasks").fill("id:task-00005")
        visitor.until("() => document.querySelectorAll('[role=rowgroup] [role=row]').length === 1")
