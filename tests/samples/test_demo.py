"""`make demo` takes an ordinary base image where a registry can be reached, and makes one where none can."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support.docker_daemon import Daemon, own_daemon
from tests.support.project import project
from tests.support.samples import docker
from tests.support.waiting import until

BASE = "localrun-base/python:latest"
USUAL = "python:3.12-slim"
REGISTRY = "127.0.0.1:5000"
CONFIG = """
version: 0.1
storage: {filesystem: {rootdirectory: FOLDER}}
http: {addr: "127.0.0.1:5000"}
"""


@pytest.fixture
def registry_engine(tmp_path: Path) -> Iterator[Daemon]:
    """An engine that pulls from a registry with an ordinary base image, and from no other."""
    if docker("image", "inspect", BASE).returncode:
        skip_or_fail(f"image {BASE} not found; run `make base`")
    with own_daemon() as daemon:
        daemon.start(f"--registry-mirror=http://{REGISTRY}")
        with registry(daemon, tmp_path / "registry"):
            docker("save", "-o", str(tmp_path / "base.tar"), BASE)
            docker("-H", daemon.host, "load", "-i", str(tmp_path / "base.tar"))
            for name in (f"{REGISTRY}/library/{USUAL}", f"{REGISTRY}/{USUAL}"):
                docker("-H", daemon.host, "tag", BASE, name)
                pushed = docker("-H", daemon.host, "push", "-q", name)
                assert pushed.returncode == 0, pushed.stderr
                docker("-H", daemon.host, "image", "rm", name)
            docker("-H", daemon.host, "image", "rm", BASE)
            yield daemon


@contextmanager
def registry(daemon: Daemon, folder: Path) -> Iterator[None]:
    """Run a registry in the network of a daemon."""
    program = shutil.which("docker-registry")
    if program is None:
        skip_or_fail("docker-registry not found (Debian: docker-registry)")
    assert daemon.process is not None
    folder.mkdir()
    (folder / "config.yml").write_text(CONFIG.replace("FOLDER", str(folder / "data")))
    inside = ["nsenter", f"--net=/proc/{daemon.process.pid}/ns/net"]
    subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
    with (folder / "log").open("wb") as log:
        served = subprocess.Popen(
            [*inside, str(program), "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    try:
        until(lambda: served.poll() is not None or b"listening on" in (folder / "log").read_bytes())
        assert served.poll() is None, (folder / "log").read_text()
        yield
    finally:
        served.terminate()
        served.wait(60)


def demo(folder: Path, daemon: Daemon, *arguments: str) -> str:
    """Run the demo in a copy of the project, without wheels; return what it prints."""
    copy = folder / f"project{len(list(folder.glob('project*')))}"
    copy.mkdir()
    environment = {**project(copy), "DOCKER_HOST": daemon.host, "PYTHON": "/bin/false"}
    ran = subprocess.run(
        [copy / ".ci/demo", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.docker
@pytest.mark.slow
def test_a_base_image_is_pulled_where_a_registry_can_be_reached(
    registry_engine: Daemon, tmp_path: Path
) -> None:
    # When the demo is run with an engine that has no image
    printed = demo(tmp_path, registry_engine)

    # Then it pulls the ordinary base image, and makes none
    assert "output count: 40" in printed
    assert "cannot pull" not in printed
    names = docker("-H", registry_engine.host, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert USUAL in names.split()
    assert "localrun-base" not in names

    # And a base image that is named is taken in its place
    assert "output count: 40" in demo(tmp_path, registry_engine, f"{REGISTRY}/{USUAL}")


def test_the_sample_that_cannot_be_built_is_named_with_the_reason() -> None:
    script = (Path(__file__).parents[2] / ".ci/demo").read_text()
    assert "cannot build samples/nuclei ($reason); running samples/count-cells" in script


def test_the_demo_ends_with_how_to_look_at_its_result() -> None:
    script = (Path(__file__).parents[2] / ".ci/demo").read_text()
    for command in ("view last", "report last -o report.html", "outputs last -o $OUTPUT --extensions"):
        assert f".venv/bin/localrun {command}" in script
