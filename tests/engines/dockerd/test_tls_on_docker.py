"""A real engine with `--tlsverify`, as in GitLab: the variables of docker lead to it, also for builds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Certificates
from tests.support.docker_daemon import Daemon, own_daemon
from tests.support.docker_files import write_context

pytestmark = pytest.mark.docker

# prints the engine's address and the reason of its choice, or the error; with a folder, it builds that
_ASK = """
import json, os, sys
from pathlib import Path
from localrun.engines.base import BuildRequest
from localrun.engines.dockerd import DockerEngine
from localrun.errors import LocalrunError
from localrun.settings import load
engine = DockerEngine.of(load(os.environ))
try:
    info = engine.info()
    built = engine.build_image(BuildRequest(Path(sys.argv[1]), "tls:1")).tags if sys.argv[1:] else ()
    print(json.dumps({"address": info.address, "source": info.source, "built": list(built)}))
except LocalrunError as error:
    print(json.dumps({"error": error.message, "remedy": error.remedy}))
engine.close()
"""


@pytest.fixture(scope="module")
def daemon(certificates: Certificates) -> Iterator[Daemon]:
    """An engine that requires TLS on port 2376 of its own network namespace."""
    with own_daemon() as made:
        files = certificates.sign()
        options = [f"--tls{name}={files / name}.pem" for name in ("cert", "key")]
        options.append(f"--tlscacert={files / 'ca.pem'}")
        made.start("--tlsverify", *options, "-H", "tcp://0.0.0.0:2376")
        inside(made, "ip", "link", "set", "lo", "up")
        yield made


def inside(daemon: Daemon, *command: str, **environ: str) -> str:
    """Run a command in the network of the engine and return its output."""
    assert daemon.process is not None
    network = ("nsenter", f"--net=/proc/{daemon.process.pid}/ns/net")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    done = subprocess.run(
        [*network, *command], env=kept | environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(daemon: Daemon, *folder: str, **environ: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside(daemon, sys.executable, "-c", _ASK, *folder, **environ))
    return found


def test_the_variables_of_docker_lead_to_the_engine(daemon: Daemon, certificates: Certificates) -> None:
    client = str(certificates.client())
    variables = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": client}
    assert "2376" in ask(daemon, **variables)["address"]
    inside(daemon, "docker", "version", **variables)  # as docker
    assert ask(daemon, **{**variables, "DOCKER_HOST": "tcp://127.0.0.1"})["address"] == "tcp://127.0.0.1:2376"


def test_a_context_leads_to_the_engine_with_its_files(
    daemon: Daemon, certificates: Certificates, tmp_path: Path
) -> None:
    meta = write_context(tmp_path, "ci", {"Host": "tcp://127.0.0.1:2376"}, tls=True)
    files = tmp_path / "contexts" / "tls" / meta.parent.name / "docker"
    shutil.copytree(certificates.client(), files, dirs_exist_ok=True)
    variables = {"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "ci"}
    found = ask(daemon, **variables)
    assert found["address"] == "tcp://127.0.0.1:2376"
    assert "'ci'" in found["source"]
    inside(daemon, "docker", "version", **variables)  # as docker


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_build_reaches_the_engine(
    daemon: Daemon, certificates: Certificates, tmp_path: Path, buildx_config: Path, builder: str
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    found = ask(
        daemon,
        str(tmp_path),
        DOCKER_HOST="tcp://127.0.0.1",
        DOCKER_TLS_VERIFY="1",
        DOCKER_CERT_PATH=str(certificates.client()),
        DOCKER_CONFIG=str(buildx_config),
        LOCALRUN_BUILDER=builder,
    )
    assert found.get("built") == ["tls:1"], found


def test_each_mistake_is_named(daemon: Daemon, certificates: Certificates, tmp_path: Path) -> None:
    host = "tcp://127.0.0.1:2376"
    error = ask(daemon, DOCKER_HOST=host)
    assert "the port expects TLS" in error["error"]
    assert "DOCKER_TLS_VERIFY=1" in error["remedy"]

    shutil.copy(certificates.ca, tmp_path / "ca.pem")
    error = ask(daemon, DOCKER_HOST=host, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path))
    assert "the engine requires a client certificate" in error["error"]

    other = Certificates(tmp_path / "other")
    error = ask(daemon, DOCKER_HOST=host, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(other.client()))
    assert "invalid certificate of the engine" in error["error"]

    expired = certificates.sign(name="client", days=-1)
    error = ask(daemon, DOCKER_HOST=host, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(expired))
    assert "the engine rejects the client certificate" in error["error"]
