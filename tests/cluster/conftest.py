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
        item.add_marker(pytest.mark.timeout(1800))
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
def site(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two nodes with their engines, on which processes of the last test may run."""
    with running_cluster() as cluster:
        request.config.stash[_CLUSTER] = cluster
        yield cluster


@pytest.fixture
def nodes(site: Cluster) -> Iterator[Cluster]:
    """Two nodes with their engines, without scheduler and workers."""
    site.stop()
    yield site
    site.stop()


@pytest.fixture
def own_cluster(nodes: Cluster) -> Cluster:
    """Two nodes, a scheduler, and a worker on each node, which this test may kill."""
    nodes.start()
    return nodes


@pytest.fixture
def cluster(site: Cluster) -> Iterator[Cluster]:
    """Two nodes, a scheduler, and a worker on each node, which other tests use, too."""
    if not site.is_ready:
        site.stop()
        site.start()
    yield site
    site.stop_clients()
    if not site.is_ready:
        site.stop()
