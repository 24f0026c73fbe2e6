"""Certificates for TLS tests, made with the openssl command."""

from __future__ import annotations

import secrets
import shutil
import ssl
import subprocess
from pathlib import Path

from tests.conftest import skip_or_fail

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificates:
    """A certificate authority in a folder, and what it signs."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("openssl"):
            skip_or_fail("openssl is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca, self._ca_key = folder / "ca.pem", folder / "ca-key.pem"
        subject = ("-subj", f"/CN=ca {secrets.token_hex(4)}", "-days", "2")
        _openssl("req", "-x509", *_NEW_KEY, *subject, "-keyout", self._ca_key, "-out", self.ca)

    def sign(self, *, name: str = "127.0.0.1", days: int = 2) -> Path:
        """Return a new folder with ca.pem, cert.pem and key.pem; `days` may be negative: it has expired."""
        made = self.folder / secrets.token_hex(4)
        made.mkdir()
        shutil.copy(self.ca, made / "ca.pem")
        request, extensions = made / "request", made / "extensions"
        kind = "IP" if name[0].isdigit() else "DNS"
        extensions.write_text(f"subjectAltName={kind}:{name}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", made / "key.pem", "-out", request)
        signed = ("-CA", self.ca, "-CAkey", self._ca_key, "-CAcreateserial", "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *signed, "-days", days, "-out", made / "cert.pem")
        return made

    def client(self) -> Path:
        """Return a folder for `DOCKER_CERT_PATH`."""
        return self.sign(name="client")

    def server(self, *, name: str = "127.0.0.1", days: int = 2) -> ssl.SSLContext:
        """Return the context of a server that requires a client certificate, as dockerd's `--tlsverify`."""
        folder = self.sign(name=name, days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
