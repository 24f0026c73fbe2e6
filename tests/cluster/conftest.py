"""Fixtures for tests on two nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster.cluster import Cluster, running_cluster

_CLUSTER: pytest.StashKey[Cluster] = pytest.StashKey()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and leave them out unless `-m cluster` asks for them."""
    own = {item: None for item in items if item.nodeid.startswith("tests/cluster/")}
    for item in own:
        item.add_marker("cluster")
    if "cluster" not in config.option.markexpr:
        config.hook.pytest_deselected(items=list(own))
        items[:] = [item for item in items if item not in own]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the ends of the logs of nodes, workers, scheduler and clients if a test fails."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    cluster = item.config.stash.get(_CLUSTER, None)
    if report.failed and report.when == "call" and cluster:
        report.sections += cluster.logs()
    return report  # type: ignore[return-value]


@pytest.fixture(scope="session")
def nodes(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes with their engines, without scheduler and workers."""
    with running_cluster() as cluster:
        request.config.stash[_CLUSTER] = cluster
        yield cluster


@pytest.fixture
def cluster(nodes: Cluster) -> Iterator[Cluster]:
    """Two nodes, a scheduler, and a worker on each node."""
    nodes.start()
    yield nodes
    nodes.stop()
