"""A cluster that Dask starts over SSH."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.conftest import skip_or_fail
from tests.support.cluster.batches import Batch, numbers, wait_for_no_containers
from tests.support.cluster.cluster import DASK, PORT, Cluster
from tests.support.cluster.ssh import start_ssh, stop_ssh


def test_a_batch_runs_on_workers_that_dask_starts_over_ssh(nodes: Cluster, tmp_path: Path) -> None:
    # Given a scheduler and workers that `dask ssh` starts, as docs/cluster.md describes
    if not Path("/usr/sbin/sshd").exists():
        skip_or_fail("sshd not found (Debian: openssh-server)")
    key = start_ssh(nodes)
    try:
        addresses = [node.address for node in nodes.nodes]
        options = ["--nworkers", "1", "--ssh-username", "root", "--ssh-private-key", str(key)]
        started = nodes.client(DASK, "ssh", *addresses, *options, cwd=tmp_path)
        started.wait_for("Registered to:")

        # When a batch runs, then both nodes run its rows
        batch = Batch(tmp_path, numbers(12, seconds=1))
        command = batch.start(nodes, address=f"tcp://{addresses[0]}:{PORT}")
        assert command.wait() == 0, command.printed
        assert {each["node"] for each in batch.check()} == {"node1", "node2"}
        wait_for_no_containers(nodes)
        started.send(signal.SIGINT)
        started.wait()
    finally:
        stop_ssh(nodes)
