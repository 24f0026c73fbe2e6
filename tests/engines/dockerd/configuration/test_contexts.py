from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from docker.context import ContextAPI

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.configuration.contexts import load_context
from localrun.errors import EngineUnreachable
from tests.conftest import skip_or_fail
from tests.support.certificates import Certificates
from tests.support.docker_files import write_context


def load(folder: Path, name: str = "lab") -> Address:
    return load_context(name, folder, "DOCKER_CONTEXT")


def test_a_context_has_an_address_and_tls_files(tmp_path: Path) -> None:
    write_context(tmp_path, "lab", {"Host": "tcp://lab", "SkipTLSVerify": True}, tls=True)
    found = load(tmp_path)
    assert (found.url, found.verify, found.context) == ("tcp://lab:2376", False, "lab")
    assert found.certificates is not None
    assert found.certificates.is_dir()
    assert "'lab'" in found.source


def test_a_certificate_is_verified_unless_the_context_says_otherwise(tmp_path: Path) -> None:
    write_context(tmp_path, "lab", {"Host": "tcp://lab"}, tls=True)
    assert load(tmp_path).verify


@pytest.mark.parametrize("endpoint", [{}, {"Host": ""}])
def test_a_context_without_an_address_is_the_default_socket_as_in_docker(
    tmp_path: Path, endpoint: dict[str, str]
) -> None:
    write_context(tmp_path, "lab", endpoint)
    assert load(tmp_path).url == "unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "no endpoint"),
        (b'{"Name": "lab"}', "no endpoint"),
        (b'{"Endpoints": {"docker": 3}}', "no endpoint"),
        (b'{"Endpoints": {"docker": {"Host": 3}}}', "must be a string"),
        (b'{"Endpoints": {"docker": {"Host": "nonsense"}}}', "'nonsense'"),
        (b"\xff\xfe", "codec can't decode"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_context_that_cannot_be_read_is_named_with_its_file(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = write_context(tmp_path, "lab", {})
    path.write_bytes(content)
    with pytest.raises(EngineUnreachable, match=reason) as raised:
        load(tmp_path)
    assert "'lab'" in raised.value.message
    assert "DOCKER_CONTEXT" in raised.value.message
    assert raised.value.remedy


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_a_context_file_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    path = write_context(tmp_path, "lab", {})
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to(path.name)
    with pytest.raises(EngineUnreachable, match="cannot read the docker context 'lab'") as raised:
        load(tmp_path)
    assert str(path) in raised.value.message


@pytest.mark.parametrize("name", ["../x", "a/b", "ä", " "])
def test_any_name_is_only_looked_up(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineUnreachable, match="does not exist"):
        load(tmp_path, name)


def test_what_docker_py_writes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    ContextAPI.create_context("lab", host="unix:///lab.sock")
    assert load(tmp_path).url == "unix:///lab.sock"


def test_what_the_docker_command_writes_is_read(tmp_path: Path, certificates: Certificates) -> None:
    docker = shutil.which("docker")
    if not docker:
        skip_or_fail("no docker command")
    ca = certificates.client() / "ca.pem"
    endpoint = f"host=tcp://lab:2376,ca={ca},skip-tls-verify=true"
    command = [str(docker), "--config", str(tmp_path), "context", "create", "lab", "--docker", endpoint]
    subprocess.run(command, check=True, capture_output=True)
    found = load(tmp_path)
    assert (found.url, found.verify) == ("tcp://lab:2376", False)
    assert found.certificates is not None
    assert (found.certificates / "ca.pem").read_bytes() == ca.read_bytes()
