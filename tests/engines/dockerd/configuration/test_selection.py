"""Each row of docker's order, as `localrun.settings.load` reads the variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.configuration import selection
from localrun.errors import EngineUnreachable
from localrun.settings import load
from tests.support.docker_files import write_config, write_context

Select = Callable[..., Address]


@pytest.fixture
def select(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Select:
    """Select with these variables, in a home and on a machine without any engine."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(selection, "DEFAULT_SOCKET", tmp_path / "var" / "docker.sock")
    monkeypatch.setattr(selection, "_PODMAN_SOCKET", tmp_path / "run" / "podman.sock")

    def run(**environ: str) -> Address:
        return selection.select(load({"XDG_RUNTIME_DIR": str(tmp_path / "runtime"), **environ}))

    return run


@pytest.fixture
def docker_folder(tmp_path: Path) -> Path:
    """The folder of docker's configuration of the user."""
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True)
    return folder


def touch(path: Path) -> str:
    """Create a file in place of a socket."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return f"unix://{path}"


# -- variables ---------------------------------------------------------------------------------------


def test_docker_host_is_used_before_any_context(select: Select, docker_folder: Path) -> None:
    write_context(docker_folder, "lab", {"Host": "tcp://lab:1"})
    write_config(docker_folder, currentContext="lab")
    found = select(DOCKER_HOST="tcp://box:2", DOCKER_CONTEXT="lab")
    assert found.url == "tcp://box:2"
    assert "DOCKER_HOST" in found.why
    assert "overrides the docker context 'lab'" in found.why
    assert "DOCKER_CONTEXT" in found.why


def test_docker_host_without_a_port_has_dockers_own(select: Select, tmp_path: Path) -> None:
    assert select(DOCKER_HOST="tcp://h").url == "tcp://h:2375"
    assert select(DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1").url == "tcp://h:2376"
    assert select(DOCKER_HOST="https://h").url == "https://h:2376"


def test_tls_of_gitlab_is_used_with_its_certificates(select: Select, tmp_path: Path) -> None:
    found = select(
        DOCKER_HOST="tcp://docker:2376", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(tmp_path / "client")
    )
    assert (found.uses_tls, found.verify, found.certificates) == (True, True, tmp_path / "client")


def test_the_certificates_are_those_of_dockers_folder_by_default(select: Select, tmp_path: Path) -> None:
    found = select(DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="1", DOCKER_CONFIG=str(tmp_path / "other"))
    assert found.certificates == tmp_path / "other"


def test_any_text_turns_tls_on_as_in_docker(select: Select) -> None:
    assert select(DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="0").uses_tls
    assert not select(DOCKER_HOST="tcp://h", DOCKER_TLS_VERIFY="").uses_tls
    assert not select(DOCKER_HOST="tcp://h", LOCALRUN_DOCKER_TLS_VERIFY="0").uses_tls


def test_tls_without_verification_is_possible(select: Select) -> None:
    found = select(DOCKER_HOST="tcp://h", DOCKER_TLS="1")
    assert (found.uses_tls, found.verify) == (True, False)


def test_certificates_alone_do_not_turn_tls_on(select: Select, tmp_path: Path) -> None:
    assert not select(DOCKER_HOST="tcp://h", DOCKER_CERT_PATH=str(tmp_path)).uses_tls
    found = select(DOCKER_HOST="https://h", DOCKER_CERT_PATH=str(tmp_path))
    assert (found.certificates, found.verify) == (tmp_path, True)


def test_tls_without_a_host_is_the_tls_port_of_this_machine(select: Select, tmp_path: Path) -> None:
    touch(tmp_path / "var" / "docker.sock")
    found = select(DOCKER_TLS_VERIFY="1")
    assert found.url == "tcp://localhost:2376"
    assert "DOCKER_TLS_VERIFY" in found.why


def test_tls_does_not_apply_to_a_socket(select: Select) -> None:
    found = select(DOCKER_HOST="unix:///x.sock", DOCKER_TLS_VERIFY="1")
    assert (found.uses_tls, found.certificates) == (False, None)


def test_variables_of_localrun_come_before_those_of_docker(select: Select, docker_folder: Path) -> None:
    write_context(docker_folder, "lab", {"Host": "tcp://lab:1"})
    assert select(DOCKER_HOST="tcp://box:2", LOCALRUN_DOCKER_HOST="tcp://own:3").url == "tcp://own:3"
    assert select(DOCKER_HOST="tcp://box:2", LOCALRUN_DOCKER_CONTEXT="lab").url == "tcp://lab:1"
    assert select(DOCKER_CONTEXT="gone", LOCALRUN_DOCKER_CONTEXT="lab").url == "tcp://lab:1"


def test_windows_pipes_are_refused(select: Select) -> None:
    with pytest.raises(EngineUnreachable, match="npipe"):
        select(DOCKER_HOST="npipe:////./pipe/docker_engine")


# -- contexts ----------------------------------------------------------------------------------------


def test_docker_context_chooses_a_context(select: Select, docker_folder: Path) -> None:
    write_context(docker_folder, "lab", {"Host": "ssh://me@lab"})
    write_context(docker_folder, "other", {"Host": "tcp://other:1"})
    write_config(docker_folder, currentContext="other")
    found = select(DOCKER_CONTEXT="lab")
    assert (found.url, found.scheme, found.context) == ("ssh://me@lab", "ssh", "lab")
    assert "DOCKER_CONTEXT" in found.why


def test_the_current_context_is_used_with_its_tls_files(select: Select, docker_folder: Path) -> None:
    write_context(docker_folder, "lab", {"Host": "tcp://lab:1", "SkipTLSVerify": False}, tls=True)
    write_config(docker_folder, currentContext="lab")
    found = select()
    assert (found.url, found.verify) == ("tcp://lab:1", True)
    assert found.certificates is not None
    assert found.certificates.is_dir()
    assert f"currentContext of {docker_folder}/config.json" in found.why


def test_docker_config_has_the_contexts_even_without_a_config_json(
    select: Select, docker_folder: Path, tmp_path: Path
) -> None:
    write_context(docker_folder, "lab", {"Host": "tcp://wrong:1"})
    write_context(tmp_path / "other", "lab", {"Host": "tcp://right:1"})
    assert select(DOCKER_CONFIG=str(tmp_path / "other"), DOCKER_CONTEXT="lab").url == "tcp://right:1"
    write_config(tmp_path / "other", currentContext="lab")
    assert select(DOCKER_CONFIG=str(tmp_path / "other")).url == "tcp://right:1"


@pytest.mark.parametrize("name", ["default", ""])
def test_the_default_context_is_the_socket(
    name: str, select: Select, docker_folder: Path, tmp_path: Path
) -> None:
    write_context(docker_folder, "lab", {"Host": "tcp://lab:1"})
    socket = touch(tmp_path / "var" / "docker.sock")
    write_config(docker_folder, currentContext=name)
    assert select().url == socket
    write_config(docker_folder, currentContext="lab")
    if name:  # an empty variable is like none
        assert select(DOCKER_CONTEXT=name).url == socket


@pytest.mark.parametrize("by", ["DOCKER_CONTEXT", "LOCALRUN_DOCKER_CONTEXT", "currentContext"])
def test_no_other_engine_is_used_for_a_context_that_does_not_exist(
    by: str, select: Select, docker_folder: Path, tmp_path: Path
) -> None:
    touch(tmp_path / "var" / "docker.sock")
    write_config(docker_folder, currentContext="gone")
    with pytest.raises(EngineUnreachable, match="the docker context 'gone' does not exist") as raised:
        select(**({} if by == "currentContext" else {by: "gone"}))
    assert by in raised.value.message
    assert str(docker_folder / "contexts" / "meta") in raised.value.message
    assert "docker context ls" in raised.value.remedy


@pytest.mark.parametrize("content", ["configuration", "[]", "3", '{"currentContext": 5}', "{", "\ufeff{}"])
def test_a_broken_configuration_is_a_warning_and_the_default_engine_is_used(
    content: str, select: Select, docker_folder: Path, tmp_path: Path
) -> None:
    socket = touch(tmp_path / "var" / "docker.sock")
    (docker_folder / "config.json").write_text(content)
    found = select()
    assert found.url == socket
    (warning,) = found.warnings
    assert str(docker_folder / "config.json") in warning


# -- sockets -----------------------------------------------------------------------------------------


def test_sockets_are_tried_in_dockers_order_and_then_podmans(
    select: Select, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert select().url == f"unix://{tmp_path}/var/docker.sock"  # docker's own message for no engine at all
    order = [
        ("runtime/podman/podman.sock", "rootless Podman"),
        ("home/.docker/desktop/docker.sock", "Docker Desktop"),
        ("home/.docker/run/docker.sock", "Docker Desktop"),
        ("runtime/docker.sock", "rootless Docker"),
        ("var/docker.sock", "the default socket"),
    ]
    for path, kind in order:  # each comes before those before it
        assert select().url != touch(tmp_path / path)[:-1]
        found = select()
        assert found.url == f"unix://{tmp_path}/{path}"
        assert kind in found.why


def test_podman_of_root_is_another_socket_than_that_of_a_user(
    select: Select, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = touch(tmp_path / "run" / "podman.sock")
    user = touch(tmp_path / "runtime" / "podman" / "podman.sock")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert select().url == root
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert select().url == user


def test_container_host_is_podmans_and_comes_after_dockers_sockets(select: Select, tmp_path: Path) -> None:
    touch(tmp_path / "run" / "podman.sock")
    found = select(CONTAINER_HOST="unix:///run/other.sock")
    assert found.url == "unix:///run/other.sock"
    assert "CONTAINER_HOST" in found.why
    docker = touch(tmp_path / "var" / "docker.sock")
    found = select(CONTAINER_HOST="unix:///run/other.sock")
    assert found.url == docker
    assert "overrides CONTAINER_HOST" in found.why


def test_a_socket_that_nobody_listens_on_is_not_passed_over(select: Select, tmp_path: Path) -> None:
    socket = touch(tmp_path / "var" / "docker.sock")
    touch(tmp_path / "runtime" / "docker.sock")
    assert select().url == socket


def test_the_folder_of_rootless_sockets_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert selection._runtime_dir(load({})) == Path("/run/user/4711")


# -- cost --------------------------------------------------------------------------------------------

_IMPORTED = """
import sys
from localrun.engines.dockerd import DockerEngine
from localrun.settings import load
DockerEngine.of(load({"DOCKER_CONFIG": sys.argv[1]}))
print([name for name in ("docker", "ssl", "requests", "subprocess") if name in sys.modules])
"""


def test_the_plain_socket_needs_neither_docker_py_nor_tls(tmp_path: Path) -> None:
    write_config(tmp_path, auths={}, currentContext="default")
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.replace("'", '"')) == []
