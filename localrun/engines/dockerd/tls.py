"""TLS to an engine: its certificates, and what to do if they do not work."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from localrun.engines.dockerd.address import Address
from localrun.errors import EngineUnreachable

_CA, _CERTIFICATE, _KEY = "ca.pem", "cert.pem", "key.pem"
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_IP = 9, 10, 62, 64  # X509_V_ERR_* of OpenSSL
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_REJECTED = ("CERTIFICATE", "UNKNOWN_CA", "DECRYPT_ERROR", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
_USE_PORT = "use the TLS port of the engine (usually 2376), or unset DOCKER_TLS_VERIFY for a port without TLS"
_SET_TLS = "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of ca.pem, cert.pem and key.pem"


def tls_context(address: Address) -> ssl.SSLContext:
    """Return the context for an address. Raises `EngineUnreachable` if a file is missing or invalid.

    Without ca.pem, the certificates of this system are trusted; without cert.pem, none is presented.
    """
    folder = address.certificates
    names = [name for name in (_CA, _CERTIFICATE, _KEY) if folder and _exists(folder / name)]
    if folder and not {_CA, _CERTIFICATE}.intersection(names):
        raise EngineUnreachable(
            f"no TLS certificates for {address.url} (from {address.source}) in {folder}",
            remedy="put ca.pem, cert.pem and key.pem there, or set DOCKER_CERT_PATH to another folder",
            address=address.url,
        )
    path = folder / _CA if folder else Path()
    try:
        context = ssl.create_default_context(cafile=path if _CA in names else None)
        if not address.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if folder and names != [_CA]:
            path = folder / _CERTIFICATE
            context.load_cert_chain(path, folder / _KEY, password=_no_password)
    except (OSError, ValueError) as error:
        raise _unusable_file(path, address, error) from error
    return context


def _exists(path: Path) -> bool:
    return os.path.lexists(path)  # also a dangling link: its error is reported


def _no_password() -> str:
    raise ValueError("key.pem is encrypted, which docker does not support either")


def _unusable_file(path: Path, address: Address, error: Exception) -> EngineUnreachable:
    reason = getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error)
    what = f"{path} and {_KEY}" if path.name == _CERTIFICATE else str(path)
    return EngineUnreachable(
        f"cannot use {what} for {address.url} (from {address.source}): {_words(reason)}",
        remedy="replace the file by a valid one in PEM format, or set DOCKER_CERT_PATH to another folder",
        address=address.url,
        file=str(path),
    )


def explain(address: Address, error: BaseException, *, handshake: bool) -> EngineUnreachable | None:
    """Return the error for a failure of TLS; None for another failure of the connection."""
    if isinstance(error, ssl.SSLEOFError | ConnectionResetError) and handshake:
        return _unreachable(address, "it closed the connection during the TLS handshake", _USE_PORT)
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return None
    meaning, remedy = _explain(address, error)
    return _unreachable(address, meaning, remedy)


def _unreachable(address: Address, meaning: str, remedy: str) -> EngineUnreachable:
    where = f"{address.url} (from {address.source})"
    message = f"cannot connect to a container engine at {where}: {meaning}"
    return EngineUnreachable(message, remedy=remedy, address=address.url, source=address.why)


def _explain(address: Address, error: ssl.SSLError) -> tuple[str, str]:
    folder, host = address.certificates, address.host_and_port[0]
    ca = folder / _CA if folder else Path(_CA)
    if isinstance(error, ssl.SSLCertVerificationError):
        meaning = f"invalid certificate of the engine: {error.verify_message}"
        if error.verify_code in (_EXPIRED, _NOT_YET_VALID):
            return meaning, "renew the certificate on the engine's machine, and check both clocks"
        if error.verify_code in (_WRONG_NAME, _WRONG_IP):
            return meaning, f"use a name that is in the certificate instead of {host}, or add {host} to it"
        return meaning, f"put the certificate of the engine's own CA in {ca}"
    reason = error.reason or str(error)
    if any(sign in reason for sign in _NO_TLS):
        return "the port does not use TLS", _USE_PORT
    if any(sign in reason for sign in _REJECTED):
        return _rejected(folder, _words(reason))
    return f"TLS failed: {_words(reason)}", f"check that the engine uses TLS on this port; {_USE_PORT}"


def _rejected(folder: Path | None, reason: str) -> tuple[str, str]:
    if folder is None or not _exists(folder / _CERTIFICATE):
        place = folder or "a folder, and set DOCKER_CERT_PATH to it"
        return (
            f"the engine requires a client certificate ({reason})",
            f"put cert.pem and key.pem in {place}",
        )
    return (
        f"the engine rejects the client certificate {folder / _CERTIFICATE} ({reason})",
        "replace it by one that is signed by the engine's CA and has not expired",
    )


def _words(reason: object) -> str:
    """Return OpenSSL's name of a failure as words: `TLSV1_ALERT_UNKNOWN_CA` is `tlsv1 alert unknown ca`."""
    text = str(reason)
    return text.replace("_", " ").lower() if text.isupper() else text


def closed_at_once(address: Address) -> EngineUnreachable:
    """Return the error for a TCP address that closed the first connection without an answer."""
    if address.uses_tls:
        meaning, remedy = _rejected(address.certificates, "or closed the connection for another reason")
    else:
        meaning, remedy = "it closed the connection without an answer", f"if it expects TLS: {_SET_TLS}"
    return _unreachable(address, meaning, remedy)


def expects_tls(address: Address) -> EngineUnreachable:
    """Return the error for a port that uses TLS, reached without it."""
    return _unreachable(address, "the port expects TLS", _SET_TLS)
