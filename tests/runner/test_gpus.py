"""GPUs: what was requested, what the container got, and that a task never runs with fewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.engines.dockerd.answers import gpus_of
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.errors import AdmissionError, Cause
from localrun.task.record import TaskRecord
from tests.support.environment import make_environment

WITH_GPUS = replace(INFO, gpus=True)
NAMES = ("nvidia.com/gpu=0", "nvidia.com/gpu=1")


def run(folder: Path, engine: FakeEngine, gpus: int) -> TaskRecord:
    with make_environment(folder, engine=engine) as env:
        record = env.run(assignments=("a=3", "b=4"), gpus=gpus)
        assert env.app.store.open(record.id).load() == record
    return record


def program(container: FakeContainer) -> int:
    container.path("/outputs/sum").write_text("7")
    return 0


def test_the_record_has_the_requested_gpus_and_those_of_the_container(tmp_path: Path) -> None:
    engine = FakeEngine(program, info=replace(WITH_GPUS, gpu_devices=NAMES))
    record = run(tmp_path, engine, 1)
    assert (record.state, record.resources.gpus, record.gpu_devices) == ("FINISHED", 1, [NAMES[0]])
    assert record.as_dict()["gpu_devices"] == [NAMES[0]]


def test_a_task_without_gpus_has_none_in_its_record(tmp_path: Path) -> None:
    record = run(tmp_path, FakeEngine(program, info=WITH_GPUS), 0)
    assert "gpu_devices" not in record.as_dict()


@pytest.mark.parametrize(("given", "what"), [((), "none"), (("0",), "1 (0)")])
def test_a_task_whose_container_got_fewer_gpus_does_not_run(
    tmp_path: Path, given: tuple[str, ...], what: str
) -> None:
    started: list[FakeContainer] = []
    engine = FakeEngine(started.append, info=WITH_GPUS)
    engine.gpu_devices = given
    record = run(tmp_path, engine, 2)
    assert (record.state, record.cause, record.gpu_devices) == ("FAILED", "GPU_UNAVAILABLE", list(given))
    assert record.message == f"requested 2 GPUs, but the engine gave the container {what}"
    assert started == []
    assert engine.find({}) == []


def test_more_gpus_than_the_engine_reports_are_refused_at_once(tmp_path: Path) -> None:
    engine = FakeEngine(program, info=replace(WITH_GPUS, gpu_devices=NAMES))
    with pytest.raises(AdmissionError, match="requested 3 GPUs, but this machine has 2") as caught:
        run(tmp_path, engine, 3)
    assert caught.value.cause is Cause.GPU_UNAVAILABLE


@pytest.mark.parametrize(
    ("requests", "found"),
    [
        (None, ()),
        ([], ()),
        ([{"Driver": "", "Count": 2, "Capabilities": [["gpu"]]}], ("0", "1")),
        ([{"Count": -1, "Capabilities": [["gpu"]]}], ("all",)),
        ([{"Count": 0, "DeviceIDs": ["1", "GPU-ab"], "Capabilities": [["gpu", "utility"]]}], ("1", "GPU-ab")),
        ([{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}], ("nvidia.com/gpu=0",)),
        ([{"Driver": "cdi", "DeviceIDs": ["vendor.com/nic=0"]}], ()),
    ],
)
def test_the_gpus_of_a_container_are_read_from_its_configuration(
    requests: Any, found: tuple[str, ...]
) -> None:
    assert gpus_of({"DeviceRequests": requests}) == found
