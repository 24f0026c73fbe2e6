"""What docker-py does better: connections over ssh and TLS, and credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker.auth
from docker import APIClient
from docker.errors import DockerException
from docker.tls import TLSConfig
from requests import RequestException
from requests import Response as Answer

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.transport import Body, Response, lost, unreachable
from localrun.errors import EngineUnreachable

# requests and urllib3 wrap most of what breaks; the rest comes up from ssh and the socket
BROKEN = (RequestException, DockerException, OSError)


class RemoteTransport:
    """HTTP over what docker-py can connect to: ssh, TLS, and the plain kinds as well."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: APIClient | None = None

    def request(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Response:
        """Send it; the connection is made with the first request."""
        client = self._connected()
        try:
            answer = client.request(
                method,
                f"{client.base_url}{path}",
                data=body,
                headers=dict(headers),
                stream=True,
                timeout=(15, None),
                allow_redirects=False,
            )
        except BROKEN as error:
            raise unreachable(self.address, OSError(str(error))) from error
        return RemoteResponse(self.address, answer)

    def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> APIClient:
        if self._client is None:
            try:
                # The version is asked for by our own side; any given one keeps docker-py from asking too.
                self._client = APIClient(
                    self.address.url,
                    version="1.44",
                    tls=_tls(self.address),
                    use_ssh_client=self.address.scheme == "ssh",  # with the user's own ssh settings
                )
            except BROKEN as error:
                raise unreachable(self.address, OSError(str(error))) from error
        return self._client


def _tls(address: Address) -> TLSConfig | bool:
    folder = address.certificates
    if folder is None:
        return address.scheme == "https"
    key = (str(folder / "cert.pem"), str(folder / "key.pem")) if (folder / "cert.pem").exists() else None
    ca = folder / "ca.pem"
    if key is None and not ca.exists():
        raise EngineUnreachable(
            f"there are no certificates for {address.url} in {folder}",
            remedy="put ca.pem, cert.pem and key.pem there, or name another folder",
            address=address.url,
        )
    return TLSConfig(client_cert=key, ca_cert=str(ca) if ca.exists() else None, verify=address.verify)


class RemoteResponse:
    """An answer that requests reads."""

    def __init__(self, address: Address, answer: Answer) -> None:
        self.status = answer.status_code
        self._address = address
        self._answer = answer

    def header(self, name: str) -> str:
        """One header; empty when it is not there."""
        return self._answer.headers.get(name, "")

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes in."""
        try:
            yield from self._answer.iter_content(None)
        except BROKEN as error:
            raise lost(self._address, error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._answer.close()


def credentials(config: Path, repository: str) -> str:
    """The `X-Registry-Auth` header for a repository; empty when there are none."""
    registry, _ = docker.auth.resolve_repository_name(repository)
    try:
        found = _known(config).resolve_authconfig(registry)
    except DockerException:
        return ""  # a helper program that fails has no credentials to give; the registry may not ask
    return _header(found) if found else ""


def all_credentials(config: Path) -> str:
    """The `X-Registry-Config` header: what a build may need for its base images."""
    try:
        found = _known(config).get_all_credentials()
    except DockerException:
        return ""
    return _header(found) if found else ""


def _known(config: Path) -> Any:
    return docker.auth.load_config(config_path=str(config / "config.json"))


def _header(found: Any) -> str:
    return docker.auth.encode_header(found).decode()
