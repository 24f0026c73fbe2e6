"""How the build client is found, and that it builds on the engine that localrun uses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.builders import clients
from localrun.engines.dockerd.builders.clients import CLASSIC, BuildClient, Clients
from localrun.errors import UsageError


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder on a machine without any client."""
    monkeypatch.setattr(clients, "SYSTEM_PLUGINS", (tmp_path / "system",))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setattr(clients, "shutil", _Which(tmp_path / "bin"))
    return tmp_path / "config"


class _Which:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def which(self, name: str) -> str | None:
        path = self._folder / name
        return str(path) if path.exists() else None


def test_without_a_client_the_classic_builder_is_used(config: Path) -> None:
    found = Clients("auto", config)
    assert (found.find(), found.identity()) == (CLASSIC, "classic")


@pytest.mark.parametrize(
    "place", ["config/cli-plugins/docker-buildx", "system/docker-buildx", "bin/docker-buildx", "bin/buildx"]
)
def test_the_buildx_plugin_is_found_where_docker_looks(config: Path, tmp_path: Path, place: str) -> None:
    path = program(tmp_path / place)
    found = Clients("auto", config)
    assert (found.find(), found.identity()) == (BuildClient("buildx", path), "buildkit")


def test_the_users_plugin_takes_precedence_and_a_file_that_is_not_executable_is_skipped(
    config: Path, tmp_path: Path
) -> None:
    program(tmp_path / "system" / "docker-buildx")
    own = program(config / "cli-plugins" / "docker-buildx")
    assert Clients("auto", config).find().path == own
    own.chmod(0o644)
    assert Clients("auto", config).find().path == tmp_path / "system" / "docker-buildx"


def test_extra_plugin_folders_of_dockers_configuration_are_used(config: Path, tmp_path: Path) -> None:
    path = program(tmp_path / "extra" / "docker-buildx")
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(path.parent)]}))
    assert Clients("auto", config).find().path == path


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("Docker version 20.10.24+dfsg1, build 297e128", "cli"),
        ("Docker version 19.03.15, build 99e3ed8", "cli"),
        ("Docker version 28.2.2, build e6534b4", "classic"),
        ("Docker version 23.0.0, build e92dd87", "classic"),
        ("podman version 4.3.1", "classic"),
        ("", "classic"),
    ],
)
def test_a_docker_command_is_used_if_buildkit_is_inside(
    config: Path, tmp_path: Path, version: str, kind: str
) -> None:
    program(tmp_path / "bin" / "docker", f"echo '{version}'")
    assert Clients("auto", config).find().kind == kind


def test_the_identity_follows_the_docker_command_without_starting_it(config: Path, tmp_path: Path) -> None:
    path = program(tmp_path / "bin" / "docker", f"touch {tmp_path / 'started'}")
    first = Clients("auto", config).identity()
    path.write_text("#!/bin/sh\necho another version\n")
    second = Clients("auto", config).identity()
    assert len({first, second, "classic", "buildkit"}) == 4
    assert not (tmp_path / "started").exists()


def test_the_classic_builder_can_be_chosen_and_buildkit_required(config: Path) -> None:
    with pytest.raises(UsageError, match="no client of BuildKit") as raised:
        Clients("buildkit", config).find()
    assert "apt-get install docker-buildx" in raised.value.remedy
    program(config / "cli-plugins" / "docker-buildx")
    assert Clients("buildkit", config).find().is_buildkit
    chosen = Clients("classic", config)
    assert (chosen.find().kind, chosen.identity()) == ("classic", "classic")


def test_a_chosen_classic_builder_names_the_setting_that_hides_buildkit(config: Path) -> None:
    remedy = Clients("classic", config).find().remedy
    assert remedy.startswith("install BuildKit's client: ")
    assert remedy.endswith(", and unset LOCALRUN_BUILDER")
    program(config / "cli-plugins" / "docker-buildx")
    assert Clients("classic", config).find().remedy == "unset LOCALRUN_BUILDER"


def test_the_client_gets_the_engine_of_localrun_whatever_the_user_selected(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a user who selected another engine, another builder and another context
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "BUILDX_BUILDER", "DOCKER_TLS_VERIFY", "BUILDKIT_PROGRESS"):
        monkeypatch.setenv(name, "other")
    path = program(config / "cli-plugins" / "docker-buildx", 'env; echo "arguments: $*"')
    client = Clients("auto", config).find()

    # When it is started
    command = client.command(Address("tcp://lab:2376", tmp_path / "certs"), config)
    done = subprocess.run([*command, "."], capture_output=True, text=True, check=True)

    # Then only the engine of localrun is left
    lines = set(done.stdout.splitlines())
    assert {"DOCKER_HOST=tcp://lab:2376", "DOCKER_TLS_VERIFY=1", "BUILDKIT_PROGRESS=plain"} <= lines
    assert {f"DOCKER_CERT_PATH={tmp_path / 'certs'}", f"DOCKER_CONFIG={config}"} <= lines
    assert not any(line.startswith(("DOCKER_CONTEXT=", "BUILDX_BUILDER=")) for line in lines)
    assert "arguments: --builder default build --load ." in lines
    assert command[-5] == str(path)


def test_addresses_of_http_are_given_as_docker_writes_them(config: Path) -> None:
    client = BuildClient("cli", Path("/usr/bin/docker"))
    assert "DOCKER_HOST=tcp://lab:1" in client.command(Address("http://lab:1"), config)
    assert client.command(Address("unix:///x"), config)[-2:] == ["/usr/bin/docker", "build"]


def test_the_version_of_a_client_that_does_not_start_is_empty(tmp_path: Path) -> None:
    plugin = program(tmp_path / "buildx", "echo 'github.com/docker/buildx 0.29.1+ds1 0.29.1+ds1-4'")
    assert BuildClient("buildx", plugin).version() == "0.29.1+ds1"
    plugin.write_bytes(b"\x7fELF")
    assert BuildClient("buildx", plugin).version() == ""
    assert CLASSIC.version() == ""
