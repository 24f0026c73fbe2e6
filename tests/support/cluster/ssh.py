"""SSH servers on the nodes, for one key of the client."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.cluster.cluster import ROOT, Cluster, Node, run

_CONFIG = """\
ListenAddress {address}
HostKey {keys}/host
AuthorizedKeysFile {keys}/client.pub
StrictModes no
UsePAM no
PidFile {folder}/sshd.pid
SetEnv PYTHONPATH={root} HOME={home} LOCALRUN_HOME={home}/localrun LOCALRUN_LEDGER={home}/ledger/l.json
"""


def start_ssh(cluster: Cluster) -> Path:
    """Start an SSH server on each node. Return the private key of the client."""
    keys = cluster.folder / "keys"
    keys.mkdir()
    for name in ("host", "client"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)])
    for node in cluster.nodes:
        _start(node, keys)
    return keys / "client"


def _start(node: Node, keys: Path) -> None:
    node.home.mkdir(exist_ok=True)
    config = node.folder / "sshd_config"
    config.write_text(
        _CONFIG.format(folder=node.folder, address=node.address, keys=keys, root=ROOT, home=node.home)
    )
    node.run("mkdir", "-p", "/run/sshd")
    node.run("/usr/sbin/sshd", "-f", str(config))


def stop_ssh(cluster: Cluster) -> None:
    """Stop the SSH servers."""
    for node in cluster.nodes:
        node.run("sh", "-c", f"kill $(cat {node.folder}/sshd.pid)")
    shutil.rmtree(cluster.folder / "keys")
