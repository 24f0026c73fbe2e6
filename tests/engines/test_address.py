from __future__ import annotations

from pathlib import Path

import pytest

from localrun.engines.dockerd.address import Address, parse
from localrun.errors import EngineUnreachable


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://", "unix:///var/run/docker.sock"),
        (" unix:///run/x.sock ", "unix:///run/x.sock"),
        ("tcp://box:99", "tcp://box:99"),
        ("tcp://box", "tcp://box:2375"),
        ("tcp://", "tcp://localhost:2375"),
        ("tcp://:99", "tcp://localhost:99"),
        ("tcp://[::1]:99", "tcp://[::1]:99"),
        ("tcp://[::1]", "tcp://[::1]:2375"),
        ("tcp://box:99/prefix/", "tcp://box:99/prefix"),
        ("box:99", "tcp://box:99"),
        ("127.0.0.1", "tcp://127.0.0.1:2375"),
        ("http://box", "http://box:2375"),
        ("https://box", "https://box:2376"),
        ("https://box:443", "https://box:443"),
        ("ssh://me@lab:23", "ssh://me@lab:23"),
    ],
)
def test_an_address_is_completed_as_docker_does(given: str, url: str) -> None:
    assert parse(Address(given)).url == url


def test_the_default_port_with_tls_is_another_one(tmp_path: Path) -> None:
    assert parse(Address("tcp://box", tls=True)).host_and_port == ("box", 2376)
    assert parse(Address("tcp://box", tmp_path)).host_and_port == ("box", 2376)


def test_the_path_of_a_socket_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse(Address("unix://x.sock")).socket_path == str(Path.cwd() / "x.sock")


def test_tls_applies_to_tcp_only_as_in_docker(tmp_path: Path) -> None:
    for url in ("unix:///x", "ssh://lab"):
        found = parse(Address(url, tmp_path, tls=True))
        assert (found.uses_tls, found.certificates) == (False, None)
    assert parse(Address("https://box")).uses_tls
    assert not parse(Address("tcp://box")).uses_tls


@pytest.mark.parametrize(
    "address",
    [
        "box",
        "nothing",
        "/var/run/docker.sock",
        "npipe:////./pipe/x",
        "fd://",
        "tcp://box:port",
        "tcp://box:0",
    ],
)
def test_an_address_of_no_known_kind_is_refused_with_the_forms_that_are(address: str) -> None:
    with pytest.raises(EngineUnreachable, match="unsupported scheme or port") as raised:
        parse(Address(address, source="DOCKER_HOST"))
    assert "unix:///" in raised.value.remedy
    assert "from DOCKER_HOST" in raised.value.message


def test_a_named_pipe_of_windows_and_a_path_get_a_remedy_of_their_own() -> None:
    with pytest.raises(EngineUnreachable) as raised:
        parse(Address("npipe:////./pipe/docker_engine"))
    assert "Windows" in raised.value.remedy
    with pytest.raises(EngineUnreachable) as raised:
        parse(Address("/run/docker.sock"))
    assert raised.value.remedy == "write unix:///run/docker.sock"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ssh://", "missing host"),
        ("ssh://me:hunter22@lab", "password"),
        ("tcp://me:hunter22@box:1", "password"),
        ("tcp://box:1?x=1", "query"),
    ],
)
def test_parts_that_would_be_ignored_are_refused(address: str, reason: str) -> None:
    with pytest.raises(EngineUnreachable, match=reason) as raised:
        parse(Address(address))
    assert "hunter22" not in str(raised.value)
    assert "hunter22" not in str(raised.value.facts)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        *[(url, True) for url in ("unix:///x", "tcp://127.0.0.1", "tcp://[::1]:1", "tcp://localhost")],
        *[(url, False) for url in ("tcp://box", "ssh://localhost", "tcp://127evil.example")],
    ],
)
def test_an_engine_of_this_machine_is_recognised_by_its_address(url: str, is_local: bool) -> None:
    assert parse(Address(url)).is_local == is_local
