"""Reused results of the rows of a cluster."""

from __future__ import annotations

from pathlib import Path

from tests.batch.cluster.nodes import Nodes


def pairs(*values: int) -> list[dict[str, int]]:
    return [{"a": value, "b": 1} for value in values]


def test_rows_that_ran_on_nodes_are_reused_here(tmp_path: Path) -> None:
    with Nodes(tmp_path).running() as nodes:
        nodes.request = nodes.request.replace(reuse="yes")
        first = {result.row.number: result.task for result in nodes.batch(pairs(1, 2))}
        found = list(nodes.batch(pairs(1, 2, 3)))
        assert {result.row.number: result.task for result in found if result.reused} == first
        other = next(result for result in found if not result.reused)
        assert (other.row.number, other.not_reused[0][-4:]) == (3, "-> 3")
