from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from localrun.engines.dockerd.address import DEFAULT_SOCKET, resolve
from localrun.errors import EngineUnreachable


def with_context(config: Path, name: str, endpoint: dict[str, object] | None, *, tls: bool = False) -> None:
    """Write the files of `docker context create` and `docker context use`."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    (config / "config.json").write_text(json.dumps({"currentContext": name}))
    if endpoint is not None:
        meta = config / "contexts" / "meta" / digest
        meta.mkdir(parents=True)
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        (config / "contexts" / "tls" / digest / "docker").mkdir(parents=True)


def test_an_explicit_address_is_used(tmp_path: Path) -> None:
    with_context(tmp_path, "other", {"Host": "tcp://other:1"})
    found = resolve("tcp://box:2375", certificates=None, config=tmp_path)
    assert found.url == "tcp://box:2375"
    assert found.host_and_port == ("box", 2375)


def test_else_the_current_context_is_taken(tmp_path: Path) -> None:
    with_context(tmp_path, "lab", {"Host": "ssh://me@lab"})
    found = resolve(None, certificates=None, config=tmp_path)
    assert (found.url, found.scheme, found.certificates) == ("ssh://me@lab", "ssh", None)
    assert "lab" in found.source


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    with_context(tmp_path, "lab", {"Host": "tcp://lab:2376", "SkipTLSVerify": True}, tls=True)
    found = resolve(None, certificates=None, config=tmp_path)
    assert found.certificates is not None
    assert found.certificates.is_dir()
    assert not found.verify


@pytest.mark.parametrize("content", ["{}", '{"currentContext": "default"}', "no json", "[]", None])
def test_without_a_context_it_is_the_usual_socket(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    found = resolve(None, certificates=None, config=tmp_path)
    assert found.socket_path in {str(DEFAULT_SOCKET), found.url.removeprefix("unix://")}
    assert found.source == ""


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    with_context(tmp_path, "gone", None)
    with pytest.raises(EngineUnreachable, match="'gone' has no engine address") as raised:
        resolve(None, certificates=None, config=tmp_path)
    assert "docker context use" in raised.value.remedy


@pytest.mark.parametrize(
    "address", ["box", "/var/run/docker.sock", "npipe:////./pipe/x", "tcp://box:port", "tcp://box:0"]
)
def test_an_address_of_no_known_kind_is_refused_with_the_forms_that_are(address: str, tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="unsupported scheme or port") as raised:
        resolve(address, certificates=None, config=tmp_path)
    assert "unix:///path" in raised.value.remedy


def test_a_tcp_address_needs_a_port(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="missing host or port"):
        _ = resolve("tcp://box", certificates=None, config=tmp_path).host_and_port
