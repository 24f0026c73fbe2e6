"""Files of rows: sent once to each node, and shown under the paths of the client."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.batch.backend import RowResult
from localrun.batch.cluster.content import ContentStore
from localrun.engines.fake import FakeContainer
from localrun.errors import LocalrunError
from localrun.manager.request import Request
from localrun.task.record import BindMount, InputSource
from localrun.task.states import TaskState
from localrun.values.references import TaskOutput
from tests.batch.cluster.nodes import Nodes
from tests.cli.command import add
from tests.support.environment import DESCRIPTOR, IMAGE
from tests.support.waiting import until

PATIENCE = 60.0  # seconds

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


@pytest.mark.parametrize("is_shared", [True, False])
def test_large_files_are_recognised_by_content_after_a_batch_that_reused_nothing(
    nodes: Nodes, request: pytest.FixtureRequest, is_shared: bool
) -> None:
    if not is_shared:
        request.getfixturevalue("received")
    given, app = rows(nodes.folder, 3), nodes.client()
    first = list(nodes.batch(given, app=app))
    copy = nodes.folder / "copy.bin"
    copy.write_bytes(given[0]["one"].read_bytes())
    again = [{"one": copy, "many": [row["many"][0], copy]} for row in given]
    results = list(nodes.batch(again, app=app, request=nodes.request.replace(reuse="yes")))
    assert [result.not_reused for result in results] == [()] * 3
    assert {result.task for result in results} == {result.task for result in first}


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


def ended(container: FakeContainer, held: threading.Event) -> int:
    """Add; the task with a negative number ends once the event is set, and fails for -2."""
    if (b := int(container.path("/inputs/b").read_text())) < 0:
        assert held.wait(PATIENCE)
    return 1 if b == -2 else add(container)


@pytest.mark.parametrize("b", [-1, -2])
def test_rows_wait_for_an_output_of_a_task_of_the_client(tmp_path: Path, b: int) -> None:
    held = threading.Event()
    with Nodes(tmp_path, program=lambda container: ended(container, held)).running() as nodes:
        # Given a task that runs on this machine
        app = nodes.client()
        first = app.manager.submit(nodes.request.replace(values={"a": 3, "b": b}))

        # When rows need its output, then the batch waits, and says so once
        numbers = (10, 20) if b == -1 else (10,)
        batch = nodes.batch([{"a": TaskOutput(first.id, "sum"), "b": one} for one in numbers], app=app)
        results: list[RowResult] = []
        rows = threading.Thread(target=lambda: results.extend(batch), daemon=True)
        rows.start()
        until(lambda: nodes.notes)
        assert batch.progress().ended == {}
        held.set()
        rows.join(PATIENCE)
        assert nodes.notes == [f"waiting for task {first.short_id}, whose outputs are inputs of rows"]

        # And the rows run with it, or fail with its cause
        if b == -1:
            assert sorted(result.outputs["sum"] for result in results) == [12, 22]
            source = InputSource(task=first.id, output="sum")
            assert [app.find(result.task)[1].sources for result in results] == [{"a": source}] * 2
        else:
            (result,) = results
            assert (result.state, result.cause) == (TaskState.FAILED, "DEPENDENCY_FAILED")
            assert "will not come: the task failed (EXIT_NONZERO)" in result.message


def test_a_path_is_mounted_that_nodes_have_and_else_no_row_runs(nodes: Nodes) -> None:
    model = nodes.folder / "model"
    model.write_text("7")

    def size(container: FakeContainer) -> int:
        container.path("/outputs/size").write_text(container.path("/data/model").read_text())
        return 0

    nodes.program = size
    request = nodes.request.replace(bind_mounts=[BindMount(source=str(model), target="/data/model")])
    results = list(nodes.batch(rows(nodes.folder, 2), request=request))
    assert [result.outputs["size"] for result in results] == [7, 7]
    model.unlink()
    with pytest.raises(LocalrunError, match=r"2 of 2 workers of tcp://.* cannot run rows") as caught:
        list(nodes.batch(rows(nodes.folder, 2), request=request))
    assert [problem.message for problem in caught.value.problems] == [
        f"no such file or folder to mount: {model}"
    ] * 2
