from __future__ import annotations

from pathlib import Path

from localrun.engines.base import Mount
from localrun.record import Owner, Resources, TaskRecord
from localrun.steps import Plan, container, remote_container

RECORD = TaskRecord(
    id="0123",
    bundle="b",
    image="sha256:abc",
    resources=Resources(cpus=2, memory=1024, gpus=1),
    owner=Owner(host="h", pid=7, started=1.5, boot="b"),
)
PLAN = Plan("/in", "/out", mounts=((Path("/data/scan.png"), "image"),))
PLACES = {"inputs": Path("/w/i"), "outputs": Path("/w/o"), "hosts": Path("/w/hosts"), "home": Path("/h")}


def test_inputs_are_read_only_and_outputs_are_not() -> None:
    spec = container(RECORD, PLAN, **PLACES)
    assert spec.mounts == (
        Mount(Path("/w/i"), "/in"),
        Mount(Path("/data/scan.png"), "/in/image"),
        Mount(Path("/w/o"), "/out", read_only=False),
    )


def test_writable_inputs_are_asked_for() -> None:
    spec = container(RECORD, Plan("/in/", "/out", writable_inputs=True), **PLACES)
    assert spec.mounts[0] == Mount(Path("/w/i"), "/in/", read_only=False)


def test_the_image_is_named_by_id_and_runs_its_own_program() -> None:
    spec = container(RECORD, PLAN, **PLACES)
    assert (spec.image, spec.entrypoint, spec.command, spec.environment) == ("sha256:abc", None, None, {})


def test_the_container_has_what_was_asked_for_and_no_network() -> None:
    spec = container(RECORD, PLAN, **PLACES)
    assert (spec.cpus, spec.memory, spec.gpus, spec.pids, spec.network) == (2, 1024, 1, 4096, False)
    assert spec.hosts_file == Path("/w/hosts")


def test_with_a_network_the_engine_writes_the_hosts_file() -> None:
    spec = container(RECORD.replace(network=True), PLAN, **PLACES)
    assert (spec.network, spec.hosts_file) == (True, None)


def test_any_process_can_tell_whose_container_it_is() -> None:
    assert dict(container(RECORD, PLAN, **PLACES).labels) == {
        "localrun.task": "0123",
        "localrun.step": "task",
        "localrun.owner": "h:7:1.5",
        "localrun.home": "/h",
    }


def test_an_engine_elsewhere_gets_folders_in_place_of_mounts() -> None:
    spec = remote_container(RECORD, PLAN, home=Path("/h"))
    assert (spec.mounts, spec.folders, spec.hosts_file) == ((), ("/in", "/out"), None)
