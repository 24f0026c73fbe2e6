"""Download input files from the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from localrun.errors import Cause, InputsError, Problem

_TIMEOUT = 20  # seconds without data
_CHUNK = 1024 * 1024
SCHEMES = ("http://", "https://")


def is_url(text: str) -> bool:
    """Return whether `text` is a URL with any scheme."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.isalnum()


def fetch(url: str, digest: str = "") -> Iterator[bytes]:
    """Download a file in chunks; `digest` is its expected SHA-256, if any.

    Raises `InputsError`, whose remedy is to pass a local file instead.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    hashed = hashlib.sha256()
    try:
        with urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 - only `SCHEMES`, see `inputs`
            while data := answer.read(_CHUNK):
                hashed.update(data)
                yield data
            if answer.length:
                raise _failed(url, f"the download ended {answer.length} bytes too early")
    except HTTPError as error:
        error.close()  # it holds the connection
        raise _failed(url, f"the server answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _failed(url, str(getattr(error, "reason", error))) from error
    if digest and hashed.hexdigest() != digest:
        raise checksum_error(url, digest, hashed.hexdigest())


def checksum_error(source: str, expected: str, actual: str) -> InputsError:
    """Return the error for a dataset with another checksum."""
    message = f"its SHA-256 is {actual}, expected {expected}"
    problems = [Problem(source, message, "download it again, or correct the checksum")]
    message, remedy = "the checksum of the dataset does not match", "check it with `sha256sum FILE`"
    return InputsError(message, remedy=remedy, cause=Cause.DATASET_CHECKSUM, problems=problems)


def _failed(url: str, reason: str) -> InputsError:
    problem = Problem(url, f"download failed: {reason}", f"save it as a file and pass `{url}=@FILE`")
    remedy = "check the URL and the network, or pass a local file"
    return InputsError("a download failed", remedy=remedy, problems=[problem])
