"""Every command and script of the Task System's troubleshooting guide, against a live `python main.py`.

Each test is one row of what the guide tells its readers to type; only the port differs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import ROOT, skip_or_fail
from tests.support.server_process import ServerProcess, environment, serving

LINE = "🎯 Task Manager initialized - Global task lists created\n"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """Skip without the programs that the commands of the guide need."""
    for name in ("bash", "curl", "jq"):
        if shutil.which(name) is None:
            skip_or_fail(f"the guide's commands need {name}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with serving(tmp_path_factory.mktemp("guide")) as server:
        yield server


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path) as server:
        yield server


def make(server: ServerProcess, assigned_by: str = "ray", **task: str) -> str:
    """Create a task and return its id."""
    response = requests.post(f"{server.address}/task", json={"task": task, "assigned_by": assigned_by})
    return str(response.json()["task_id"])


def test_row_1_the_import_of_the_manager_works_and_that_of_a_handler_does_not() -> None:
    good = "from modules.task.handler import TaskManager, task_manager; print('imported')"
    bad = "from modules.task.handler import TaskHandler"
    assert (ROOT / "modules/task/__init__.py").read_text().count(
        "from .handler import TaskManager, task_manager"
    ) == 1
    found = [
        subprocess.run(
            [sys.executable, "-c", text], env=environment(), capture_output=True, text=True, check=False
        )
        for text in (good, bad)
    ]
    assert found[0].stdout == "imported\n"
    assert "ImportError: cannot import name 'TaskHandler' from 'modules.task.handler'" in found[1].stderr


def test_row_2_a_request_without_a_field_is_422_unprocessable(server: ServerProcess) -> None:
    bodies: list[dict[str, Any]] = [{"task": {}}, {"assigned_by": "ray"}]
    for body in bodies:
        response = requests.post(f"{server.address}/task", json=body)
        assert (response.status_code, response.reason[:13]) == (422, "Unprocessable")
        assert [item["type"] for item in response.json()["detail"]] == ["missing"]


def test_row_3_a_request_with_both_fields_is_taken(server: ServerProcess) -> None:
    response = requests.post(f"{server.address}/task", json={"task": {}, "assigned_by": "ray"})
    assert response.status_code == 200


def test_row_4_a_task_is_found_by_its_id_also_after_its_completion(server: ServerProcess) -> None:
    task_id = make(server)
    for _ in range(2):
        found = requests.get(f"{server.address}/task/{task_id}")
        assert (found.status_code, found.json()["task"]["task_id"]) == (200, task_id)
        requests.post(f"{server.address}/task/{task_id}/complete")


def test_row_5_the_log_folder_is_there_and_a_line_comes_at_once(server: ServerProcess) -> None:
    assert "File exists" in server.shell("mkdir logs").stderr
    tail = subprocess.Popen(
        ["tail", "-n", "+1", "-f", "logs/heartbeat_detailed.jsonl"],
        cwd=server.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tail.stdout is not None
    try:
        task_id = make(server)
        assert any(task_id in line for line in tail.stdout)
    finally:
        tail.kill()
        tail.wait()
        tail.stdout.close()


def test_row_6_the_counts_are_printed(server: ServerProcess) -> None:
    printed = server.python(
        """
import requests
response = requests.get('http://localhost:8000/task/status')
status = response.json()
print(f"Active: {status['task_manager']['active_tasks_count']}")
print(f"Completed: {status['task_manager']['completed_tasks_count']}")
"""
    )
    assert re.fullmatch(r"Active: \d+\nCompleted: \d+\n", printed)


def test_row_7_python_main_py_starts_says_so_and_stops_with_ctrl_c(fresh: ServerProcess) -> None:
    assert fresh.printed.count(LINE) == 1
    assert requests.get(f"http://127.0.0.1:{fresh.port}/heartbeat").status_code == 200
    assert fresh.stop() == 0


def test_row_8_the_heartbeat_answers(server: ServerProcess) -> None:
    assert requests.get(f"{server.address}/heartbeat").status_code == 200


def test_row_9_curl_prints_the_heartbeat(server: ServerProcess) -> None:
    found = json.loads(server.shell("curl http://localhost:8000/heartbeat").stdout)
    expected = {"type": "heartbeat", "in_task": False, "status": "alive"}
    assert expected.items() <= found.items()
    assert {"timestamp", "last_server_action"} <= set(found)


def test_row_10_curl_prints_the_status(server: ServerProcess) -> None:
    found = json.loads(server.shell("curl http://localhost:8000/task/status").stdout)
    assert found["status"] == "operational"
    counts = found["task_manager"]
    assert counts["total_tasks_processed"] == counts["active_tasks_count"] + counts["completed_tasks_count"]


def test_row_11_the_minimal_request_makes_a_task(server: ServerProcess) -> None:
    printed = server.shell(
        """curl -X POST http://localhost:8000/task \\
  -H "Content-Type: application/json" \\
  -d '{"task": {}, "assigned_by": "test"}'"""
    ).stdout
    found = json.loads(printed)
    assert found["status"] == "task_created"
    assert uuid.UUID(found["task_id"]).version == 4
    assert found["message"] == f"Task {found['task_id']} created and added to global task list"


@pytest.mark.parametrize("name", ["detailed.jsonl", "events.log", "errors.log"])
def test_row_12_all_three_logs_can_be_watched_from_the_start(server: ServerProcess, name: str) -> None:
    found = server.shell(f"timeout 0.3 tail -f logs/heartbeat_{name}")
    assert (found.returncode, found.stderr) == (124, "")  # `timeout` ended it


def test_row_13_the_active_tasks_are_listed(server: ServerProcess) -> None:
    for name in ("ray", "eve"):
        make(server, name)
    printed = server.python(
        """
import requests

# Get all active tasks
response = requests.get('http://localhost:8000/task/list')
if response.status_code == 200:
    data = response.json()
    print(f"Active tasks: {data['active_tasks_count']}")
    for task in data['active_tasks']:
        print(f"  - {task['task_id'][:8]}: {task['assigned_by']}")
else:
    print(f"Error: {response.status_code}")
"""
    )
    listed = requests.get(f"{server.address}/task/list").json()["active_tasks"]
    lines = [f"  - {task['task_id'][:8]}: {task['assigned_by']}\n" for task in listed]
    assert [line[-6:] for line in lines[-2:]] == [": ray\n", ": eve\n"]
    assert printed == f"Active tasks: {len(lines)}\n{''.join(lines)}"


def test_row_14_the_tasks_of_this_hour_are_counted_once_each(server: ServerProcess) -> None:
    command = """grep "task_created" logs/heartbeat_detailed.jsonl | \\
  grep "$(date -u +%Y-%m-%dT%H)" | wc -l"""
    begun = datetime.now(UTC).hour
    before = int(server.shell(command).stdout)
    for _ in range(3):
        make(server, type="task_created")
    assert int(server.shell(command).stdout) == before + 3 or datetime.now(UTC).hour != begun


def test_row_15_the_sizes_of_the_lists_are_printed_again_and_again(server: ServerProcess) -> None:
    printed = server.python(
        """
import requests
import time

rounds = 3
while rounds:
    response = requests.get('http://localhost:8000/task/status')
    if response.status_code == 200:
        data = response.json()
        tm = data['task_manager']
        print(f"Active: {tm['active_tasks_count']}, "
              f"Completed: {tm['completed_tasks_count']}, "
              f"Total: {tm['total_tasks_processed']}")
    time.sleep(0)
    rounds -= 1
"""
    )
    assert re.fullmatch(r"(Active: \d+, Completed: \d+, Total: \d+\n){3}", printed)


def test_row_16_errors_among_the_last_lines_are_counted(server: ServerProcess) -> None:
    command = 'tail -100 logs/heartbeat_detailed.jsonl | \\\n  grep -c "task_error"'
    make(server, note="no task_error here")
    before = int(server.shell(command).stdout)
    requests.post(f"{server.address}/task/unknown/complete")
    for _ in range(100):
        requests.get(f"{server.address}/heartbeat")
    assert int(server.shell(command).stdout) == before + 1


def test_row_17_all_lines_of_a_task_are_found_by_its_id(server: ServerProcess) -> None:
    task_id = make(server)
    requests.post(f"{server.address}/task/{task_id}/complete")
    printed = server.shell(f'grep "{task_id}" logs/heartbeat_detailed.jsonl').stdout
    kinds = {json.loads(line)["event_type"] for line in printed.splitlines()}
    assert {"task_requested", "task_created", "task_completed"} <= kinds


def test_row_18_the_tasks_of_one_name_are_found(server: ServerProcess) -> None:
    task_id = make(server, "ray")
    printed = server.shell("""grep '"assigned_by": "ray"' logs/heartbeat_detailed.jsonl""").stdout
    assert task_id in printed


def test_row_19_the_times_of_creation_are_printed(server: ServerProcess) -> None:
    for _ in range(2):
        make(server)
    printed = server.shell(
        """grep "task_created" logs/heartbeat_detailed.jsonl | \\
  jq -r '.timestamp'"""
    ).stdout
    times = [datetime.fromisoformat(line) for line in printed.splitlines()]
    lines = (server.folder / "logs/heartbeat_detailed.jsonl").read_text().splitlines()
    assert len(times) == sum("task_created" in line for line in lines) >= 2
    assert times == sorted(times)


def test_row_20_errors_are_counted_by_their_text(server: ServerProcess) -> None:
    for name in ("one", "two"):
        requests.post(f"{server.address}/task/{name}/complete")
    printed = server.shell(
        """grep "task_error" logs/heartbeat_detailed.jsonl | \\
  jq -r '.data.error' | sort | uniq -c"""
    ).stdout
    count, *text = printed.split()
    assert (int(count) >= 2, text) == (True, ["Task", "not", "found", "for", "completion"])


def test_row_21_the_whole_suite_runs_and_says_what_it_is() -> None:
    found = subprocess.run(
        [sys.executable, "tests/run_task_tests.py"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert found.stdout.startswith("Task system tests")


@pytest.mark.slow  # this session runs the files too
@pytest.mark.parametrize("name", ["models", "handler", "routes"])
def test_rows_22_to_24_each_part_of_the_suite_runs(name: str) -> None:
    found = subprocess.run(
        ["bash", "-c", f"pytest tests/modules/task/test_{name}.py -v"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    assert re.search(r"\d+ passed", found.stdout)


def test_row_25_the_manual_integration_test_is_all_good(server: ServerProcess) -> None:
    printed = server.python(
        """
import requests
import json

# 1. Create task
create_response = requests.post('http://localhost:8000/task', json={
    'task': {'type': 'test', 'data': 'integration_test'},
    'assigned_by': 'test_user'
})

if create_response.status_code == 200:
    task_id = create_response.json()['task_id']
    print(f"✅ Task created: {task_id}")

    # 2. Verify in list
    list_response = requests.get('http://localhost:8000/task/list')
    tasks = list_response.json()['active_tasks']
    found = any(t['task_id'] == task_id for t in tasks)
    print(f"✅ Task in list: {found}")

    # 3. Get specific task
    get_response = requests.get(f'http://localhost:8000/task/{task_id}')
    print(f"✅ Task retrieval: {get_response.status_code == 200}")

else:
    print(f"❌ Task creation failed: {create_response.status_code}")
"""
    )
    assert re.fullmatch(f"✅ Task created: {UUID}\n✅ Task in list: True\n✅ Task retrieval: True\n", printed)


def test_row_26_logs_that_were_moved_away_are_begun_anew(server: ServerProcess) -> None:
    old = make(server)
    moved = server.shell(
        """mv logs/heartbeat_detailed.jsonl logs/heartbeat_detailed.jsonl.backup
mv logs/heartbeat_events.log logs/heartbeat_events.log.backup"""
    )
    new = make(server)
    assert moved.returncode == 0
    logs = server.folder / "logs"
    assert old in (logs / "heartbeat_detailed.jsonl.backup").read_text()
    text = (logs / "heartbeat_detailed.jsonl").read_text()
    assert (old in text, new in text) == (False, True)
    assert (logs / "heartbeat_events.log").exists()


def test_row_27_after_a_restart_the_manager_says_that_it_is_there_and_has_lost_nothing(
    tmp_path: Path,
) -> None:
    with serving(tmp_path) as server:
        task_id = make(server)
        assert server.stop() == 0
    with serving(tmp_path) as server:
        assert server.printed.count(LINE) == 1
        listed = requests.get(f"{server.address}/task/list").json()
        assert [task["task_id"] for task in listed["active_tasks"]] == [task_id]
