"""The nodes themselves: apart from each other, and gone completely at the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster.cluster import ROOT, Cluster, leftovers
from tests.support.cluster.processes import wait_until

PROGRAM = """
from tests.support.cluster.cluster import running_cluster
with running_cluster() as cluster:
    node = cluster.nodes[0]
    node.load("localrun-base/busybox")
    node.docker("run", "-d", "localrun-base/busybox", "sleep", "600")
    print(cluster.folder, flush=True)
    input()
"""


def test_each_node_has_its_own_engine_files_and_address(nodes: Cluster, tmp_path: Path) -> None:
    first, second = nodes.nodes
    first.load("localrun-base/busybox")
    assert "localrun-base/busybox" in first.docker("images")
    assert "localrun-base/busybox" not in second.docker("images")
    first.docker("rmi", "localrun-base/busybox")
    assert [node.run("hostname").strip() for node in nodes.nodes] == ["node1", "node2"]
    assert first.run("ls", "/tmp") == ""  # where the client's files are
    (nodes.shared / "file").write_text("shared")
    assert second.run("cat", str(nodes.shared / "file")) == "shared"
    before = second.received()
    first.run("busybox", "ping", "-c", "1", "-s", "1000", second.address)
    assert second.received() >= before + 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_session_ends_by_a_signal(number: signal.Signals) -> None:
    # Given a session with nodes on which a container runs
    session = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert session.stdin is not None
    assert session.stdout is not None
    folder = Path(session.stdout.readline().strip())
    assert leftovers(folder)

    # When it gets the signal
    session.send_signal(number)
    session.wait(60)

    # Then nothing remains
    wait_until(lambda: not leftovers(folder), lambda: "\n".join(leftovers(folder)))
    session.stdin.close()
    session.stdout.close()
