"""Files of rows: sent once to each node, and shown under the paths of the client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.cluster.content import ContentStore
from localrun.engines.fake import FakeContainer
from localrun.manager.request import Request
from localrun.task.states import TaskState
from tests.batch.cluster.nodes import Nodes
from tests.support.environment import DESCRIPTOR, IMAGE

WITH_FILES = (
    DESCRIPTOR.split("inputs:")[0]
    + """inputs:
  one:
    display_name: One
    description: One
    type: file
  many:
    display_name: Many
    description: Many
    type:
      id: array
      subtype: file
outputs:
  size:
    display_name: Size
    description: Size
    type: integer
"""
)


def measure(container: FakeContainer) -> int:
    names = ["one", "many/0", "many/1"]
    sizes = [container.path(f"/inputs/{name}").stat().st_size for name in names]
    container.path("/outputs/size").write_text(str(sum(sizes)))
    return 0


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path, program=measure)
    nodes.bundle.write_text(WITH_FILES)
    nodes.request = Request(nodes.bundle, image=IMAGE, pull="never")
    with nodes.running() as started:
        yield started


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[Path, str]]:
    """Return how many bytes each node receives of each file; no file is at the same path there."""
    found: Counter[tuple[Path, str]] = Counter()
    write = ContentStore.write

    def count(self: ContentStore, sent: Any, offset: int, data: bytes) -> int:
        after = write(self, sent, offset, data)
        found[self.path, sent.name] += len(data)
        return after

    monkeypatch.setattr(ContentStore, "_is_shared", lambda *_: False)
    monkeypatch.setattr(ContentStore, "write", count)
    return found


def rows(folder: Path, count: int) -> list[dict[str, Any]]:
    shared = folder / "shared.bin"
    shared.write_bytes(bytes(5 * 1024**2))
    found = []
    for number in range(count):
        own = folder / f"own-{number}.txt"
        own.write_text(f"{number:10}")
        found.append({"one": shared, "many": [own, shared]})
    return found


def test_a_file_is_sent_once_to_each_node(nodes: Nodes, received: Counter[tuple[Path, str]]) -> None:
    app = nodes.client()
    results = list(nodes.batch(rows(nodes.folder, 6), app=app))
    assert {result.outputs["size"] for result in results} == {10 * 1024**2 + 10}
    shared = {size for (_, name), size in received.items() if name == "shared.bin"}
    assert shared == {5 * 1024**2}


def test_the_record_names_the_files_of_the_client(nodes: Nodes, received: Counter[tuple[Path, str]]) -> None:
    app = nodes.client()
    (result,) = nodes.batch(rows(nodes.folder, 1), app=app)
    workspace, record = app.find(result.task)
    shared, own = str(nodes.folder / "shared.bin"), str(nodes.folder / "own-0.txt")
    assert record.inputs == {"one": shared, "many": [own, shared]}
    assert {source for source, _ in record.run_plan.mounts} <= {shared, own}
    assert "/content/" not in record.to_json().decode()
    assert (workspace.inputs / "one").stat().st_size == 5 * 1024**2
    assert received


def test_a_file_at_the_same_path_is_not_sent(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ContentStore, "write", lambda *_: pytest.fail("sent"))
    results = list(nodes.batch(rows(nodes.folder, 2)))
    assert {result.state for result in results} == {TaskState.FINISHED}


def test_results_of_nodes_are_reused_like_those_of_this_machine(nodes: Nodes) -> None:
    given, app = rows(nodes.folder, 3), nodes.client()
    request = nodes.request.replace(reuse="yes")
    first = list(nodes.batch(given, app=app, request=request))
    assert {result.reused for result in first} == {False}
    nodes.program = lambda _: pytest.fail("ran again")
    again = list(nodes.batch(given, app=app, request=request))
    assert {result.task for result in again} == {result.task for result in first}
    assert [(result.reused, result.outputs["size"]) for result in again] == [(True, 10 * 1024**2 + 10)] * 3


def test_nodes_without_the_image_get_it_from_the_client(
    nodes: Nodes, received: Counter[tuple[Path, str]]
) -> None:
    app = nodes.client()
    image = app.engine.find_image(IMAGE)
    assert image is not None
    for engine in nodes.engines.values():
        engine.remove_image(IMAGE)
    results = list(nodes.batch(rows(nodes.folder, 6), app=app))
    assert {result.state for result in results} == {TaskState.FINISHED}
    assert len({app.find(result.task)[1].image for result in results}) == 1
    archive = f"{image.id.rpartition(':')[2]}.tar"
    assert sum(name == archive for _, name in received) == len({result.node for result in results})
    assert list(app.settings.home.glob(".image.*")) == []
