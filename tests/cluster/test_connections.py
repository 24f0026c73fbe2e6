"""Addresses at which no scheduler is, workers of other versions, TLS, and secrets."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.certificates import Certificates
from tests.support.cluster.batches import Batch, numbers, wait_for_no_containers
from tests.support.cluster.cluster import PORT, ROOT, Cluster
from tests.support.cluster.site import GATEWAY


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (f"tcp://{GATEWAY}:1", "dask scheduler"),
        ("tcp://10.213.0.99:8786", ""),
        ("tcp://no-such-host.invalid:8786", ""),
        (f"http://{GATEWAY}:8786", "tcp://"),
        ("local:0", "local:"),
        ("local:many", "local:"),
        ("tcp://", "tcp://"),
        ("somewhere", "tcp://"),
    ],
)
def test_an_address_without_a_scheduler_is_reported_with_a_remedy(
    address: str, reason: str, nodes: Cluster, tmp_path: Path
) -> None:
    batch = Batch(tmp_path, numbers(2))
    command = batch.start(nodes, address=address)
    assert command.wait() not in (0, 1, 10), command.printed
    assert address in command.printed
    assert reason in command.printed
    assert "hint:" in command.printed
    assert "Traceback" not in command.printed


def test_something_else_than_a_scheduler_is_reported(nodes: Cluster, tmp_path: Path) -> None:
    # Given an HTTP server
    server = nodes.client(sys.executable, "-m", "http.server", "8000", "--bind", GATEWAY, cwd=tmp_path)
    server.wait_for("Serving HTTP")

    # When a batch takes it for a scheduler, then it is reported
    batch = Batch(tmp_path, numbers(2))
    command = batch.start(nodes, address=f"tcp://{GATEWAY}:8000")
    assert command.wait() not in (0, 1, 10), command.printed
    assert f"tcp://{GATEWAY}:8000" in command.printed
    assert "Traceback" not in command.printed


def test_a_batch_waits_for_the_first_worker(nodes: Cluster, tmp_path: Path) -> None:
    nodes.start_scheduler()
    batch = Batch(tmp_path, numbers(4))
    command = batch.start(nodes)
    command.wait_for("dask worker")  # the command to start one
    nodes.nodes[1].start_worker(nodes.address)
    assert command.wait() == 0, command.printed
    assert {each["node"] for each in batch.check()} == {"node2"}


def test_a_worker_with_another_version_of_localrun_is_reported(nodes: Cluster, tmp_path: Path) -> None:
    # Given a worker with another version
    other = nodes.shared / "other"
    shutil.copytree(ROOT / "localrun", other / "localrun", ignore=shutil.ignore_patterns("__pycache__", "ui"))
    (other / "localrun" / "_version.py").write_text('__version__ = "0.0.1"\n')
    nodes.start_scheduler()
    worker = nodes.nodes[0].start_worker(nodes.address, env={"PYTHONPATH": str(other)})
    worker.wait_for("Registered to:")

    # When a batch starts, then it is rejected with both versions and the name of the worker
    batch = Batch(tmp_path, numbers(2))
    command = batch.start(nodes)
    assert command.wait() not in (0, 1, 10), command.printed
    assert "0.0.1" in command.printed
    assert "node1" in command.printed
    assert "Traceback" not in command.printed
    assert batch.results() == []
    shutil.rmtree(other)


def test_a_cluster_with_tls_runs_rows_and_rejects_a_client_without_a_certificate(
    nodes: Cluster, tmp_path: Path
) -> None:
    # Given a scheduler and a worker that require certificates of an authority
    signed = Certificates(nodes.shared / "certificates").sign(name=GATEWAY)
    files = [f"--tls-ca-file={signed}/ca.pem", f"--tls-cert={signed}/cert.pem", f"--tls-key={signed}/key.pem"]
    address = f"tls://{GATEWAY}:{PORT}"
    nodes.start_scheduler(*files, protocol="tls")
    nodes.nodes[0].start_worker(address, *files).wait_for("Registered to:")
    batch = Batch(tmp_path, numbers(4))

    # When a client has no certificate, then it is rejected
    command = batch.start(nodes, address=address)
    assert command.wait() not in (0, 1, 10), command.printed
    assert "Traceback" not in command.printed

    # When a client has one, then its rows run
    env = {
        f"DASK_DISTRIBUTED__COMM__TLS__{name}": f"{signed}/{file}.pem"
        for name, file in {"CA_FILE": "ca", "CLIENT__CERT": "cert", "CLIENT__KEY": "key"}.items()
    }
    command = batch.start(nodes, address=address, env=env)
    assert command.wait() == 0, command.printed
    batch.check()
    wait_for_no_containers(nodes)
