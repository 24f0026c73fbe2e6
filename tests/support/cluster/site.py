"""Connect nodes by a bridge in namespaces of their own, and run them.

Usage: `python -m tests.support.cluster.site FOLDER`.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.machines import view

NODES = ("node1", "node2")
GATEWAY = "10.213.0.1"  # where the scheduler listens


def address(name: str) -> str:
    """Return the IP address of a node."""
    return f"10.213.0.{NODES.index(name) + 2}"


def interface(name: str) -> str:
    """Return the end of a node's cable at the bridge."""
    return f"to-{name}"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def main(folder: str) -> int:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    ip("link", "set", "lo", "up")
    ip("link", "add", "bridge0", "type", "bridge")
    ip("addr", "add", f"{GATEWAY}/24", "dev", "bridge0")
    ip("link", "set", "bridge0", "up")
    nodes = [_start(name, folder) for name in NODES]
    return max(node.wait() for node in nodes)


def _start(name: str, folder: str) -> subprocess.Popen[bytes]:
    cable = interface(name)
    ip("netns", "add", name)
    ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
    ip("link", "set", cable, "master", "bridge0", "up")
    ip("-n", name, "addr", "add", f"{address(name)}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        ip("-n", name, "link", "set", device, "up")
    ip("-n", name, "route", "add", "default", "via", GATEWAY)
    inside = ["nsenter", f"--net=/run/netns/{name}"]
    inside += ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.Popen([*inside, sys.executable, "-m", "tests.support.cluster.node", name, folder])


if __name__ == "__main__":
    if os.getpid() == 1:
        sys.exit(view.init([sys.executable, "-m", "tests.support.cluster.site", *sys.argv[1:]]))
    sys.exit(main(*sys.argv[1:]))
