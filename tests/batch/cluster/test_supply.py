"""What is sent to the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun import descriptor
from localrun.batch.cluster.orders import SentFile
from localrun.batch.cluster.supply import Supply
from localrun.batch.rows import Row
from localrun.engines.fake import FakeContainer
from localrun.errors import DependencyFailed
from localrun.manager.request import Request
from localrun.task.record import InputSource
from localrun.values.parsing import FileValue
from localrun.values.references import TaskOutput
from tests.support.environment import Environment, make_environment


def add(container: FakeContainer) -> int:
    b = int(container.path("/inputs/b").read_text())
    if b < 0:
        container.stopped.wait(60)
    container.path("/outputs/sum").write_text(str(b))
    return 0


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Environment]:
    with make_environment(tmp_path, add) as env:
        yield env


def supply(env: Environment) -> Supply:
    made = Supply(env.app, Request(env.bundle, values={"b": 1}))
    made._descriptor = descriptor.read(env.bundle.read_bytes())
    return made


def test_the_output_of_a_finished_task_is_sent_as_a_file(env: Environment) -> None:
    first = env.run(values={"a": 1, "b": 2})
    made, row = supply(env), Row(1, {"a": TaskOutput(first.id, "sum")})
    found = made.gather(row)
    assert made.needs(found) == set()
    work = made.work(row, found)
    sent = work.request.values["a"]
    assert isinstance(sent, FileValue)
    assert isinstance(sent.path, SentFile)
    assert Path(sent.path.path).read_text() == "2"
    assert work.sources == {"a": InputSource(task=first.id, output="sum")}


def test_a_row_needs_the_tasks_whose_outputs_are_not_there_yet(env: Environment) -> None:
    first = env.submit(values={"a": 1, "b": -1})
    made, row = supply(env), Row(1, {"a": TaskOutput(first.id, "sum")})
    found = made.gather(row)
    assert made.needs(found) == {first.id}
    env.app.manager.kill(first)
    env.app.manager.wait(first)
    with pytest.raises(DependencyFailed, match="will not come: the task was stopped"):
        made.work(row, found)
