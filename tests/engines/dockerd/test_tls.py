"""TLS failures: each says what is wrong with which file or port, and what to do."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.address import Address
from localrun.errors import Cause, EngineUnreachable
from localrun.settings import load
from tests.engines.forwarder import Forwarder
from tests.support.certificates import Certificates

GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX = b"HTTP/1.1 400 Bad Request\r\n\r\n<html>The plain HTTP request was sent to HTTPS port</html>"


@contextmanager
def tls_port(context: ssl.SSLContext) -> Iterator[int]:
    """A port with TLS, without an engine behind it."""
    made = Forwarder(Address("unix:///none"), context)
    try:
        yield made.port
    finally:
        made.close()


@contextmanager
def port_that_answers(answer: bytes) -> Iterator[int]:
    """A port without TLS that answers each connection with these bytes and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)
                    client.sendall(answer)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def refused(port: int, **environ: str) -> EngineUnreachable:
    """Return the error of an engine with these variables."""
    engine = DockerEngine.of(load({"DOCKER_HOST": f"tcp://127.0.0.1:{port}", **environ}))
    with pytest.raises(EngineUnreachable) as raised:
        engine.info()
    engine.close()
    assert raised.value.cause is Cause.ENGINE_UNREACHABLE
    assert f"127.0.0.1:{port}" in raised.value.message
    assert "DOCKER_HOST" in raised.value.message
    return raised.value


def with_tls(port: int, folder: Path) -> EngineUnreachable:
    return refused(port, DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=str(folder))


@pytest.fixture
def client(certificates: Certificates) -> Path:
    """A folder for `DOCKER_CERT_PATH`."""
    return certificates.client()


def test_an_engine_of_another_ca_is_not_trusted(
    certificates: Certificates, client: Path, tmp_path: Path
) -> None:
    other = Certificates(tmp_path)
    shutil.copy(other.ca, client / "ca.pem")
    with tls_port(certificates.server()) as port:
        error = with_tls(port, client)
    assert "invalid certificate of the engine" in error.message
    assert str(client / "ca.pem") in error.remedy


def test_an_expired_certificate_of_the_engine_is_named(certificates: Certificates, client: Path) -> None:
    with tls_port(certificates.server(days=-1)) as port:
        error = with_tls(port, client)
    assert "expired" in error.message
    assert "renew the certificate" in error.remedy


def test_a_certificate_of_another_name_is_named(certificates: Certificates, client: Path) -> None:
    with tls_port(certificates.server(name="docker")) as port:
        error = with_tls(port, client)
    assert "mismatch" in error.message
    assert "instead of 127.0.0.1" in error.remedy


def test_a_missing_client_certificate_is_named(certificates: Certificates, client: Path) -> None:
    (client / "cert.pem").unlink()
    (client / "key.pem").unlink()
    with tls_port(certificates.server()) as port:
        error = with_tls(port, client)
    assert "the engine requires a client certificate" in error.message
    assert str(client) in error.remedy


def test_a_client_certificate_of_another_ca_is_named(
    certificates: Certificates, client: Path, tmp_path: Path
) -> None:
    other = Certificates(tmp_path).client()
    shutil.copy(client / "ca.pem", other / "ca.pem")
    with tls_port(certificates.server()) as port:
        error = with_tls(port, other)
    assert f"the engine rejects the client certificate {other / 'cert.pem'}" in error.message


def test_an_expired_client_certificate_is_named(certificates: Certificates) -> None:
    expired = certificates.sign(name="client", days=-1)
    with tls_port(certificates.server()) as port:
        error = with_tls(port, expired)
    assert f"the engine rejects the client certificate {expired / 'cert.pem'}" in error.message
    assert "expired" in error.remedy


@pytest.mark.parametrize("answer", [GO, NGINX])
def test_a_port_that_expects_tls_is_recognised_by_its_answer(answer: bytes) -> None:
    with port_that_answers(answer) as port:
        error = refused(port)
    assert "the port expects TLS" in error.message
    assert "DOCKER_TLS_VERIFY=1" in error.remedy
    assert "DOCKER_CERT_PATH" in error.remedy


def test_a_port_that_closes_a_connection_without_tls_may_expect_it(certificates: Certificates) -> None:
    with tls_port(certificates.server()) as port:
        error = refused(port)
    assert "DOCKER_TLS_VERIFY=1" in error.remedy


def test_a_port_without_tls_is_recognised(client: Path) -> None:
    with port_that_answers(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        error = with_tls(port, client)
    assert "the port does not use TLS" in error.message
    assert "unset DOCKER_TLS_VERIFY" in error.remedy


def test_missing_certificates_are_reported_with_their_folder(tmp_path: Path) -> None:
    error = with_tls(1, tmp_path)
    assert "no TLS certificates" in error.message
    assert str(tmp_path) in error.message
    assert "DOCKER_CERT_PATH" in error.remedy


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem"])
@pytest.mark.parametrize("content", ["", "no PEM", None])
def test_an_unusable_file_is_named(client: Path, name: str, content: str | None) -> None:
    if content is None:
        (client / name).unlink()
        (client / name).mkdir()
    else:
        (client / name).write_text(content)
    error = with_tls(1, client)
    assert name in error.message
    assert "PEM" in error.remedy or "ca.pem" in error.remedy


@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_half_of_a_client_certificate_is_not_used(client: Path, name: str) -> None:
    (client / name).unlink()
    assert name in with_tls(1, client).message


def test_a_key_of_another_certificate_is_named(certificates: Certificates, client: Path) -> None:
    shutil.copy(certificates.client() / "key.pem", client / "key.pem")
    assert "key values mismatch" in with_tls(1, client).message


def test_an_engine_is_reached_without_verification_if_that_was_chosen(
    certificates: Certificates, client: Path, tmp_path: Path
) -> None:
    shutil.copy(Certificates(tmp_path).ca, client / "ca.pem")
    with tls_port(certificates.server()) as port:
        error = refused(port, DOCKER_TLS="1", DOCKER_CERT_PATH=str(client))
    assert "certificate of the engine" not in error.message


def test_a_certificate_is_verified_for_https_without_any_files(certificates: Certificates) -> None:
    with tls_port(certificates.server()) as port:
        error = refused(port, LOCALRUN_DOCKER_HOST=f"https://127.0.0.1:{port}")
    assert "invalid certificate of the engine" in error.message
