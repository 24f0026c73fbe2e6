from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.support.server_client import ServerEnvironment, add, serve_environment

REST = '"read_bytes":0,"written_bytes":0,"pids":1}\n'
FILES = """
inputs:
  f: {type: file, description: f, display_name: F}
  image: {type: image, description: i, display_name: I, optional: true}
  names: {type: {id: array, subtype: string}, description: n, display_name: N, optional: true}
outputs:
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServerEnvironment]:
    with serve_environment(tmp_path, add) as env:
        yield env


def with_files(env: ServerEnvironment) -> None:
    """Give the bundle of the environment inputs that are files."""
    text = env.env.bundle.read_text()
    start, end = text.index("inputs:\n"), text.index("outputs:\n")
    env.env.bundle.write_text(text[:start] + FILES.strip() + "\n" + text[end + len("outputs:\n") :])


def test_the_view_has_all_of_a_task(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    found = served.client.get(f"/task/{task_id}/view").json()
    assert found["row"]["id"] == found["task"]["task_id"] == task_id
    assert [(one["name"], one["kind"], one["value"]) for one in found["inputs"]] == [
        ("a", "scalar", 3),
        ("b", "scalar", 4),
    ]
    assert [(one["name"], one["value"], one["problems"]) for one in found["outputs"]] == [("sum", 7, [])]
    assert found["actions"] == {
        "kill": False, "rerun": True, "remove": True, "complete": False, "rerun_problem": "",
    }  # fmt: skip
    assert [row["reason"] for row in found["events"]][:2] == ["Submitted", "Scheduled"]
    assert found["timeline"]["states"][-1]["state"] == "FINISHED"
    assert found["commands"]["run"].startswith("localrun run ")
    assert "-i a=3 -i b=4" in found["commands"]["run"]
    assert '"inputs": {"a": 3, "b": 4}' in found["commands"]["curl"]
    assert "http://localhost:8000/task" in found["commands"]["curl"]
    assert found["submission"] == {
        "bundle": "descriptor.yml",
        "image": served.env.image,
        "inputs": {"a": 3, "b": 4},
    }
    assert found["event_id"].startswith(served.site.feed.server)
    assert served.client.get("/task/nope/view").status_code == 404


def test_a_failed_task_says_why_at_its_output(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("seven")
        return 0

    with serve_environment(tmp_path, program) as env:
        task_id = env.run(a=3, b=4)
        env.wait(task_id)
        found = env.client.get(f"/task/{task_id}/view").json()
    assert found["headline"]["cause"] == "OUTPUTS_INVALID"
    assert found["headline"]["explanation"]
    (problem,) = found["outputs"][0]["problems"]
    assert problem["path"] == "outputs.sum"
    assert found["outputs"][0]["value"] is None


def test_a_manual_task_has_a_view(served: ServerEnvironment) -> None:
    task_id = served.post({"anything": 1})["task_id"]
    found = served.client.get(f"/task/{task_id}/view").json()
    assert (found["inputs"], found["outputs"], found["commands"]["run"]) == ([], [], "")
    assert found["actions"]["complete"] is True
    assert found["actions"]["rerun_problem"]
    assert found["submission"] == {"anything": 1}


def test_the_files_of_inputs_and_outputs_have_their_size_and_address(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("7")
        return 0

    with serve_environment(tmp_path, program) as env:
        with_files(env)
        (tmp_path / "given.bin").write_bytes(b"12345")
        record = env.env.run(values={"f": tmp_path / "given.bin", "names": ["x" * 9] * 2})
        found = env.client.get(f"/task/{record.id}/view").json()
        file, image, names = found["inputs"]
        assert file["files"] == [
            {"name": "f", "index": None, "size": 5, "url": f"/task/{record.id}/inputs/f"}
        ]
        assert (file["kind"], file["value"], image["files"]) == ("file", None, [])
        assert (names["value"], names["count"]) == (["x" * 9] * 2, 2)
        # the file is below the folder of bundles, so a client can name it
        assert found["submission"]["inputs"]["f"] == "@given.bin"


def test_a_replicated_task_has_its_replicas_in_the_view(served: ServerEnvironment) -> None:
    task_id = served.post({**served.bundle(a=3, b=4), "replicas": 2})["task_id"]
    served.wait(task_id)
    found = served.client.get(f"/task/{task_id}/view").json()["replicas"]
    assert [row["replica"] for row in found["tasks"]] == [1, 2]
    assert found["groups"][0]["replicas"] == [1, 2]
    inner = served.client.get(f"/task/{found['tasks'][0]['id']}/view").json()["replicas"]
    assert inner["parent"] == task_id


def test_a_task_runs_again_with_other_inputs(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    again = served.client.post(f"/task/{task_id}/rerun", json={"inputs": {"a": 10}})
    assert again.status_code == 200
    found = served.wait(again.json()["task_id"])
    assert (found["outputs"], found["assigned_by"]) == ({"sum": 14}, "ray")
    assert served.wait(served.client.post(f"/task/{task_id}/rerun").json()["task_id"])["outputs"] == {
        "sum": 7
    }


def test_a_rerun_reports_what_is_invalid(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    answer = served.client.post(f"/task/{task_id}/rerun", json={"inputs": {"a": "x", "c": 1}})
    assert answer.status_code == 422
    assert {tuple(item["loc"][2:]) for item in answer.json()["detail"]} == {("inputs", "a"), ("inputs", "c")}
    assert served.client.post(f"/task/{task_id}/rerun", json={"x": 1}).status_code == 422
    assert served.client.post("/task/nope/rerun").status_code == 404
    manual = served.post({})["task_id"]
    assert served.client.post(f"/task/{manual}/rerun").status_code == 409


def test_a_rerun_cannot_name_a_file_that_is_not_served(tmp_path: Path) -> None:
    served_folder = tmp_path / "served"
    served_folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    with serve_environment(served_folder, lambda _: 0) as env:
        with_files(env)
        (served_folder / "given").write_text("1")
        record = env.env.run(values={"f": served_folder / "given"})
        answer = env.client.post(
            f"/task/{record.id}/rerun", json={"inputs": {"f": f"@{tmp_path / 'secret'}"}}
        )
        assert answer.status_code == 422
        assert "not found" in answer.text


def test_an_ended_task_is_deleted_and_an_active_one_is_not(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    manual = served.post({})["task_id"]
    assert served.client.delete(f"/task/{manual}").status_code == 409
    event_id = served.site.feed.parse_id(served.client.get("/tasks").json()["event_id"])
    answer = served.client.delete(f"/task/{task_id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "removed")
    assert served.client.get(f"/task/{task_id}").status_code == 404
    assert served.client.delete(f"/task/{task_id}").status_code == 404
    assert [row["id"] for row in served.client.get("/tasks").json()["tasks"]] == [manual]
    assert "removed" in [entry.kind for entry in served.site.feed.after(event_id or 0) or []]


def test_the_usage_is_returned_from_a_time_on(served: ServerEnvironment) -> None:
    task_id = served.run(a=3, b=4)
    served.wait(task_id)
    line = '{"time":%s,"cpu_seconds":1,"memory":1,"memory_peak":null,' + REST
    served.env.app.store.open(task_id).usage.write_text(line % 1.0 + line % 2.0)
    found = served.client.get(f"/task/{task_id}/usage?since=1").json()
    assert (len(found["samples"]), found["last"], found["ended"]) == (1, 2.0, True)
    assert served.client.get(f"/task/{task_id}/usage?since=9").json()["last"] is None
    assert served.client.get(f"/task/{task_id}/usage?since=x").status_code == 422
