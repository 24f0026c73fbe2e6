from __future__ import annotations

from pathlib import Path

from localrun.engines.base import Mount
from localrun.runner.container_spec import local_spec, remote_spec
from localrun.task.record import ProcessId, Resources, RunPlan, TaskRecord

PLAN = RunPlan(input_folder="/in", output_folder="/out", mounts=[("/data/scan.png", "image")])
RECORD = TaskRecord(
    id="0123",
    bundle="b",
    image="sha256:abc",
    resources=Resources(cpus=2, memory=1024, gpus=1),
    owner=ProcessId(host="h", pid=7, started=1.5, boot="b"),
    plan=PLAN,
)
PLACES = {"inputs": Path("/w/i"), "outputs": Path("/w/o"), "hosts": Path("/w/hosts"), "home": Path("/h")}


def test_inputs_are_read_only_and_outputs_are_not() -> None:
    spec = local_spec(RECORD, **PLACES)
    assert spec.mounts == (
        Mount(Path("/w/i"), "/in"),
        Mount(Path("/data/scan.png"), "/in/image"),
        Mount(Path("/w/o"), "/out", read_only=False),
    )


def test_inputs_can_be_writable() -> None:
    plan = RunPlan(input_folder="/in/", writable_inputs=True)
    spec = local_spec(RECORD.replace(plan=plan), **PLACES)
    assert spec.mounts[0] == Mount(Path("/w/i"), "/in/", read_only=False)


def test_the_image_is_named_by_id_and_runs_its_own_program() -> None:
    spec = local_spec(RECORD, **PLACES)
    assert (spec.image, spec.entrypoint, spec.command, spec.environment) == ("sha256:abc", None, None, {})


def test_the_container_has_its_resources_and_no_network() -> None:
    spec = local_spec(RECORD, **PLACES)
    assert (spec.cpus, spec.memory, spec.gpus, spec.pids, spec.network) == (2, 1024, 1, 4096, False)
    assert spec.hosts_file == Path("/w/hosts")


def test_with_a_network_the_engine_writes_the_hosts_file() -> None:
    spec = local_spec(RECORD.replace(network=True), **PLACES)
    assert (spec.network, spec.hosts_file) == (True, None)


def test_labels_identify_the_task_and_its_owner() -> None:
    assert dict(local_spec(RECORD, **PLACES).labels) == {
        "localrun.task": "0123",
        "localrun.step": "task",
        "localrun.owner": "h:7:1.5",
        "localrun.home": "/h",
    }


def test_a_label_names_the_ledger_by_its_absolute_path(tmp_path: Path) -> None:
    spec = remote_spec(RECORD, home=Path("/h"), ledger=Path("l.json"))
    assert spec.labels["localrun.ledger"] == str(Path.cwd() / "l.json")
    spec = remote_spec(RECORD, home=Path("/h"), ledger=Path("/t\udce9"))
    assert "localrun.ledger" not in spec.labels


def test_a_label_does_not_name_another_folder_if_the_path_is_not_utf8() -> None:
    labels = local_spec(RECORD, **{**PLACES, "home": Path("/t\udce9")}).labels
    assert labels["localrun.home"] == ""
    assert labels["localrun.task"] == "0123"


def test_a_remote_engine_gets_folders_instead_of_mounts() -> None:
    spec = remote_spec(RECORD, home=Path("/h"))
    assert (spec.mounts, spec.folders, spec.hosts_file) == ((), ("/in", "/out"), None)


def test_a_command_and_an_environment_replace_those_of_the_image() -> None:
    spec = local_spec(RECORD.replace(plan=RunPlan(command=["ls", "-l"], environment={"A": "b"})), **PLACES)
    assert (spec.command, dict(spec.environment), spec.entrypoint) == (("ls", "-l"), {"A": "b"}, None)
