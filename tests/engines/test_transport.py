from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import transport as transport_module
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.connections import SshConnection, UnixConnection
from localrun.engines.dockerd.transport import Transport
from localrun.errors import Cause, EngineUnreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


class Engine:
    """A socket that sends prepared responses, one list for each connection."""

    def __init__(self, path: Path, connections: list[list[bytes]]) -> None:
        self.path = path
        self.requests: list[bytes] = []
        self.gone = threading.Event()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._server.settimeout(60)
        self._connections = connections
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._server:
            for answers in self._connections:
                client, _ = self._server.accept()
                client.settimeout(60)
                with client, contextlib.suppress(ConnectionError):
                    for answer in answers:
                        self.requests.append(client.recv(65536))
                        client.sendall(answer)
                self.gone.set()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[Engine, Transport]]]:
    made: list[tuple[Engine, Transport]] = []

    def start(*connections: list[bytes]) -> tuple[Engine, Transport]:
        engine = Engine(tmp_path / "s", list(connections))
        made.append((engine, Transport(Address(f"unix://{engine.path}"))))
        return made[-1]

    yield start
    for engine, transport in made:
        transport.close()
        engine.join()


Serve = Callable[..., tuple[Engine, Transport]]


def ask(transport: Transport, method: str = "GET") -> bytes:
    return b"".join(transport.request(method, "/x", None, {}).chunks())


def test_a_connection_is_used_again(serve: Serve) -> None:
    engine, transport = serve([OK, OK, OK])
    assert [ask(transport), ask(transport, "POST"), ask(transport)] == [b"ok"] * 3
    assert len(engine.requests) == 3


def test_a_connection_that_was_closed_meanwhile_is_opened_anew(serve: Serve) -> None:
    engine, transport = serve([OK], [OK])
    assert ask(transport) == b"ok"
    assert engine.gone.wait(60)
    assert ask(transport, "POST") == b"ok"


def test_a_connection_that_breaks_is_opened_anew_for_a_question(serve: Serve) -> None:
    _, transport = serve([OK, b""], [OK])
    assert ask(transport) == b"ok"
    assert ask(transport) == b"ok"


def test_a_command_is_not_sent_twice(serve: Serve) -> None:
    engine, transport = serve([OK, b""])
    assert ask(transport) == b"ok"
    with pytest.raises(EngineUnreachable, match="lost the connection") as raised:
        ask(transport, "POST")
    assert raised.value.cause is Cause.ENGINE_LOST
    assert len(engine.requests) == 2


def test_an_answer_that_breaks_off_is_an_engine_that_was_lost(serve: Serve) -> None:
    _, transport = serve([CHUNKED])
    chunks = transport.request("GET", "/x", None, {}).chunks()
    assert next(chunks) == b"abc"
    with pytest.raises(EngineUnreachable, match="lost the connection") as raised:
        next(chunks)
    assert raised.value.cause is Cause.ENGINE_LOST


def test_invalid_http_is_a_lost_connection(serve: Serve) -> None:
    _, transport = serve([b"SSH-2.0-OpenSSH\r\n\r\n"])
    with pytest.raises(EngineUnreachable, match="lost the connection"):
        ask(transport)


def test_an_answer_that_is_not_read_costs_its_connection(serve: Serve) -> None:
    _, transport = serve([OK], [OK])
    transport.request("GET", "/x", None, {}).close()
    assert ask(transport) == b"ok"


def test_an_error_of_what_is_sent_comes_through(serve: Serve) -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise FileNotFoundError(2, "the archive is gone")

    _, transport = serve([b"", b""])
    with pytest.raises(FileNotFoundError, match="the archive is gone"):
        transport.request("POST", "/x", broken(), {})


def test_the_error_of_an_upload_that_is_rejected_early_is_reported(serve: Serve) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    _, transport = serve([answer])
    upload = (b"x" * 65536 for _ in range(1000))
    response = transport.request("POST", "/x", upload, {})
    assert (response.status, b"".join(response.chunks())) == (400, b"no")


def test_no_socket_means_that_no_engine_runs(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable, match="cannot connect to a container engine at unix://") as raised:
        ask(Transport(Address(f"unix://{tmp_path}/none")))
    assert "systemctl start docker" in raised.value.remedy
    assert raised.value.cause is Cause.ENGINE_UNREACHABLE


def test_a_refused_connection_names_who_gave_the_address() -> None:
    address = Address("tcp://127.0.0.1:1", source="DOCKER_HOST")
    with pytest.raises(EngineUnreachable, match=r"from DOCKER_HOST.*refused") as raised:
        ask(Transport(address))
    assert "DOCKER_HOST" in raised.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch users")
def test_the_remedy_of_a_forbidden_socket_is_the_docker_group(serve: Serve) -> None:
    engine, transport = serve([OK])
    engine.path.chmod(0o600)
    os.seteuid(54321)
    try:
        with pytest.raises(EngineUnreachable, match="Permission denied") as raised:
            ask(transport)
    finally:
        os.seteuid(0)
    assert "usermod -aG docker" in raised.value.remedy
    assert ask(transport) == b"ok"


def test_the_path_of_a_tcp_address_precedes_those_of_requests(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = serve([OK])
    monkeypatch.setattr(transport_module, "new_connection", lambda _: UnixConnection(str(engine.path)))
    behind_proxy = Transport(Address("tcp://lab:2375/engines/1"))
    assert ask(behind_proxy) == b"ok"
    assert engine.requests[0].startswith(b"GET /engines/1/x HTTP/1.1")
    behind_proxy.close()


def test_the_path_of_an_ssh_address_is_the_socket_on_that_host() -> None:
    assert SshConnection("ssh://me@lab")._arguments()[-4:] == ["lab", "docker", "system", "dial-stdio"]
    found = SshConnection("ssh://me@lab/run/user/7/docker.sock")._arguments()
    host = ["docker", "--host", "unix:///run/user/7/docker.sock"]
    assert found[-6:] == ["lab", *host, "system", "dial-stdio"]
