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
from localrun.errors import InputsError
from localrun.manager.request import Request
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
    work = supply(env).work(Row(1, {"a": TaskOutput(first.id, "sum")}))
    sent = work.request.values["a"]
    assert isinstance(sent, FileValue)
    assert isinstance(sent.path, SentFile)
    assert Path(sent.path.path).read_text() == "2"


def test_a_row_of_a_cluster_does_not_wait_for_an_output(env: Environment) -> None:
    first = env.submit(values={"a": 1, "b": -1})
    with pytest.raises(InputsError) as caught:
        supply(env).work(Row(1, {"a": TaskOutput(first.id, "sum")}))
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"output 'sum' of task {first.short_id} is not there yet")
