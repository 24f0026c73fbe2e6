"""A settings file on a real engine: a build, a mount and inputs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from tests.cli.command import Process
from tests.support.environment import DESCRIPTOR

pytestmark = pytest.mark.docker

# the sum of the inputs, a build argument and a mounted file
PROGRAM = "echo $(( $(cat /inputs/a) + $(cat /inputs/b) + $(cat /built) + $(cat /app/more) )) > /outputs/sum"


def test_a_folder_is_built_mounted_and_run_with_the_options_of_its_settings_file(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "Dockerfile").write_text(
        f"FROM {busybox}\nARG NUMBER=0\nRUN echo $NUMBER > /built\nCMD {json.dumps(['sh', '-c', PROGRAM])}\n"
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "more").write_text("1000")
    (tmp_path / "localrun.toml").write_text(
        'mounts = ["src:/app"]\nhome = "tasks"\n[build_args]\nNUMBER = 100\n[inputs]\na = 3\nb = 4\n'
    )
    below = tmp_path / "below"
    below.mkdir()
    try:
        with Process("run", str(tmp_path), "--json", "-i", "b=5", cwd=below) as process:
            result = process.result()
    finally:
        for found in docker_engine.images(build_labels(tmp_path.resolve(), mounted=["src"])):
            for tag in found.tags:
                docker_engine.remove_image(tag)
    assert result.code == 0, result.err
    assert result.json["outputs"] == {"sum": 1108}
    assert Path(result.json["folder"]).is_relative_to(tmp_path / "tasks")
