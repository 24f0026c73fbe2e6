"""Batches on clusters that the operator of the server has allowed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.batch.cluster.nodes import Nodes
from tests.server.batches.test_batches import ROWS, Batches
from tests.support.server_client import serve_environment


def test_a_batch_runs_on_a_cluster_of_the_server(tmp_path: Path) -> None:
    (folder := tmp_path / "server").mkdir()
    nodes = Nodes(tmp_path)
    with nodes.running(), serve_environment(folder, clusters=(nodes.address,)) as env:
        made = Batches(env)
        batch_id = made.create(rows=ROWS, cluster=nodes.address)
        made.wait(batch_id)
        assert made.results(batch_id) == {"0001": 3, "x": 7}
        lines = env.client.get(f"/batch/{batch_id}/results").text.splitlines()
        assert {json.loads(line)["node"] for line in lines} <= {"n1", "n2"}


def test_a_client_cannot_choose_another_cluster(tmp_path: Path) -> None:
    with serve_environment(tmp_path, clusters=("tcp://head:8786",)) as env:
        made = Batches(env)
        answer = env.client.post("/batch", json=made.body(rows=ROWS, cluster="tcp://elsewhere:8786"))
        assert answer.status_code == 422
        (problem,) = answer.json()["detail"]
        assert problem["loc"][-1] == "cluster"
        assert problem["msg"].startswith("unknown cluster 'tcp://elsewhere:8786'")
        assert "expected one of: tcp://head:8786" in answer.text
        assert env.client.get("/batch").json()["total"] == 0


def test_a_batch_whose_cluster_does_not_answer_stops_and_says_so(tmp_path: Path) -> None:
    with serve_environment(tmp_path, clusters=("tcp://127.0.0.1:9",)) as env:
        made = Batches(env)
        stopped = made.wait(made.create(rows=ROWS, cluster="tcp://127.0.0.1:9"), "stopped")
        assert stopped["error"].startswith("cannot connect to the cluster tcp://127.0.0.1:9")
        assert stopped["can_resume"]
