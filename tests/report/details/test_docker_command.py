from __future__ import annotations

import secrets
import shlex
import subprocess
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.masking.masker import MASK
from localrun.report.details.docker_command import docker_command
from localrun.task.record import Resources, RunPlan, TaskRecord
from localrun.task.workspace import Workspace
from tests.support.environment import DESCRIPTOR, make_environment
from tests.support.images import busybox_layer, image_archive

WITH_FILE = DESCRIPTOR.replace("outputs:\n", "  f: {type: file, description: f, display_name: F}\noutputs:\n")


def words(**changes: object) -> list[str]:
    plan = RunPlan(mounts=[("/data/my scan", "f")], environment={"A": "b c"}).replace(**changes)
    record = TaskRecord(id="x", bundle="b", image="sha256:1", plan=plan, resources=Resources(cpus=0.5))
    return shlex.split(docker_command(record, Workspace("/home/tasks/x")).partition(" && ")[2])


def test_the_command_has_the_inputs_limits_and_variables_of_the_task() -> None:
    found = words(command=["go", "a b"])
    text = " ".join(found)
    assert found[:3] == ["docker", "run", "--rm"]
    assert "--network none --cpus 0.5 --memory 4294967296" in text
    volumes = [found[index + 1] for index, word in enumerate(found) if word == "-v"]
    assert volumes == [
        "/home/tasks/x/inputs:/inputs:ro",
        "/data/my scan:/inputs/f:ro",
        "$PWD/outputs:/outputs",
    ]
    assert found[found.index("-e") + 1] == "A=b c"
    assert found[-3:] == ["sha256:1", "go", "a b"]


def test_no_secret_is_part_of_the_command() -> None:
    found = words(environment={"IEXEC_REQUESTER_SECRET_1": MASK, "API_TOKEN": "abcdef0123456789"})
    assert [found[i + 1] for i, word in enumerate(found) if word == "-e"] == [
        "IEXEC_REQUESTER_SECRET_1",
        "API_TOKEN",
    ]


def test_a_path_with_a_colon_is_mounted_with_the_long_option() -> None:
    found = words(mounts=[("/data/a:b,c", "f")])
    assert found[found.index("--mount") + 1] == 'type=bind,"source=/data/a:b,c",target=/inputs/f,readonly'


@pytest.mark.docker
@pytest.mark.parametrize("copy_inputs", [False, True])
def test_the_command_runs_the_program_with_mounted_files(
    docker_engine: DockerEngine, tmp_path: Path, copy_inputs: bool
) -> None:
    name = f"localrun-test/by-hand:{secrets.token_hex(4)}"
    program = ["sh", "-c", "cat /inputs/f > /outputs/sum"]
    archive = image_archive(busybox_layer({}), name, Cmd=program, Env=["PATH=/bin"], User="1234")
    docker_engine.load_image([archive])
    (tmp_path / "a number").write_text("42")
    (tmp_path / "work").mkdir()
    try:
        with make_environment(tmp_path, engine=docker_engine, image=name) as env:
            env.bundle.write_text(WITH_FILE)
            values = {"a": 1, "b": 2, "f": tmp_path / "a number"}
            record = env.run(values=values, copy_inputs=copy_inputs)
            command = docker_command(record, Workspace(record.folder))
        assert record.outputs == {"sum": 42}
        assert Path(record.folder, "inputs/f").read_text() == "42"
        assert Path(record.folder, "inputs/f").is_symlink() is not copy_inputs
        subprocess.run(command, shell=True, cwd=tmp_path / "work", check=True)
        assert (tmp_path / "work/outputs/sum").read_text() == "42"
        if copy_inputs:  # the folder is complete
            folder = f"{record.folder}/inputs:/inputs:ro"
            plain = ["docker", "run", "--rm", "--network", "none", "-v", folder, name, "cat", "/inputs/f"]
            assert subprocess.check_output(plain) == b"42"
    finally:
        docker_engine.remove_image(name)
