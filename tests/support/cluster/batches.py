"""Batches for tests on a cluster: a small program, a table of rows, and the results."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.bundles import zip_of
from tests.support.cluster.cluster import Cluster
from tests.support.cluster.processes import Command, wait_until
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive

HEAD = DESCRIPTOR[: DESCRIPTOR.index("inputs:\n")].replace("ram: 64Mi", "ram: 16Mi")
PARAMETERS = """\
inputs:
  number: {type: integer, description: n, display_name: N}
  seconds: {type: number, description: how long it runs, display_name: S, default: 0}
  note: {type: string, description: any text, display_name: T, optional: true}
  data: {type: file, description: any content, display_name: D, optional: true}
outputs:
  double: {type: integer, description: two times the number, display_name: D}
  bytes: {type: integer, description: size of the data, display_name: B}
"""
# The network interfaces of the container go to the log.
PROGRAM = """#!/bin/sh
cd /inputs
echo "row $(cat number)"; ip -o link
trap 'exit 143' TERM
sleep "$(cat seconds)" & wait $!
if [ -e data ]; then stat -L -c %s data; else echo 0; fi > /outputs/bytes
echo $(($(cat number) * 2)) > /outputs/double
"""
CONFIG: dict[str, Any] = {"Entrypoint": ["/bin/run"], "Env": ["PATH=/bin"]}  # of its image


class Batch:
    """A bundle and a table in a folder of the client, and the batches that run them."""

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, object]], *, program: str = PROGRAM) -> None:
        self.folder = folder
        self.rows = list(rows)
        self.bundle = folder / "bundle.zip"
        archive = image_archive(busybox_layer({"bin/run": program.encode()}), **CONFIG)
        zip_of(
            self.bundle,
            {"descriptor.yml": (HEAD + PARAMETERS).encode(), "com.example.add-1.0.0.tar": archive},
        )
        self.table = folder / "rows.csv"
        with self.table.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def start(
        self, cluster: Cluster, *options: str, env: Mapping[str, str] | None = None, address: str = ""
    ) -> Command:
        """Start `localrun batch` on the cluster."""
        return self.localrun(
            cluster,
            *("batch", str(self.bundle), "--table", "rows.csv", "--cluster", address or cluster.address),
            *("--results", "results.csv", "--cpus", "0.25", *options),
            env=env,
        )

    def run(
        self, cluster: Cluster, *options: str, code: int = 0, env: Mapping[str, str] | None = None
    ) -> str:
        """Run the batch and return what it prints."""
        command = self.start(cluster, *options, env=env)
        assert command.wait() == code, command.printed
        return command.printed

    def localrun(self, cluster: Cluster, *arguments: str, env: Mapping[str, str] | None = None) -> Command:
        """Start a command in the client's folder."""
        return cluster.client(sys.executable, "-m", "localrun", *arguments, cwd=self.folder, env=env)

    def json(self, cluster: Cluster, *arguments: str) -> Any:
        """Run a command that prints JSON."""
        command = self.localrun(cluster, *arguments, "--json")
        assert command.wait() == 0, command.printed
        return json.loads(command.printed)

    def results(self) -> list[dict[str, str]]:
        """Return the rows of the table of results that exist so far."""
        path = self.folder / "results.csv"
        if not path.exists():
            return []
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))

    def wait_for_results(self, number: int, command: Command) -> None:
        """Wait until this many rows have ended."""

        def are_there() -> bool:
            is_running = command.is_running
            found = len(self.results()) >= number
            assert found or is_running, command.printed
            return found

        wait_until(are_there, lambda: f"{number} results:\n{command.printed[-5000:]}")

    def check(self) -> list[dict[str, str]]:
        """Check that each row has finished exactly once with the right outputs, and return the results."""
        found = self.results()
        assert sorted(int(each["row"]) for each in found) == list(range(1, len(self.rows) + 1))
        assert {each["state"] for each in found} == {"FINISHED"}, found
        assert all(int(each["double"]) == 2 * int(each["number"]) for each in found)
        return found


def wait_for_containers(cluster: Cluster) -> None:
    """Wait until a container runs on each node."""
    wait_until(lambda: all(node.docker("ps", "-q") for node in cluster.nodes), "containers on both nodes")


def wait_for_no_containers(cluster: Cluster) -> None:
    """Wait until no node has a container."""
    wait_until(lambda: not any(node.containers() for node in cluster.nodes), "no containers on the nodes")


def numbers(count: int, seconds: float = 0, **more: object) -> list[dict[str, object]]:
    """Return rows with the numbers from 1."""
    return [{"number": number, "seconds": seconds, **more} for number in range(1, count + 1)]
