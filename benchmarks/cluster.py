"""Rows on two nodes of a Dask cluster, each with its own engine, and on one of these nodes alone.

The nodes share the processors of this machine, so the rows wait most of their time.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from figures import Case, Chapter, Target, measure
from program import PROJECT

AT_ONCE = 4  # rows on a node
SECONDS = 2.0  # for which a row waits

TARGETS = (
    Target(
        "rate of a node, two nodes / one machine",
        lambda m: m["one machine"] / m["two nodes"],
        0.95,
        least=True,
    ),
)


def compare(_: Path, *, rounds: int, rows: int) -> Chapter:
    """Measure the time for this number of `rows` for each node. Only root can start nodes."""
    sys.path.insert(0, str(PROJECT))
    from tests.support.cluster.batches import Batch, numbers
    from tests.support.cluster.cluster import Cluster, running_cluster

    def batch(cluster: Cluster, name: str, count: int) -> Batch:
        folder = cluster.shared / name
        folder.mkdir()
        return Batch(folder, numbers(count, seconds=SECONDS))

    def one_machine(found: Batch, cluster: Cluster) -> None:
        node = cluster.nodes[0]
        options = ["--cpus", str(node.cpus / AT_ONCE), "--results", "results.csv"]
        command = node.start(
            *(sys.executable, "-m", "localrun", "batch", str(found.bundle), "--table", "rows.csv", *options),
            cwd=found.folder,
        )
        if command.wait():
            sys.exit(command.printed)

    def two_nodes(found: Batch, cluster: Cluster) -> None:
        command = found.start(cluster, "--cpus", str(cluster.nodes[0].cpus / AT_ONCE))
        if command.wait():
            sys.exit(command.printed)

    with running_cluster() as cluster:
        cluster.start()
        alone, both = batch(cluster, "alone", rows), batch(cluster, "both", 2 * rows)
        cases: dict[str, Case] = {
            "one machine": partial(one_machine, alone, cluster),
            "two nodes": partial(two_nodes, both, cluster),
        }
        samples = measure(cases, rounds)
        cluster.stop()
    return Chapter(f"{rows} rows of {SECONDS:g} s for each node", samples, TARGETS, "one machine")
