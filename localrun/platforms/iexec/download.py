"""A file that is given by its address on the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from localrun.errors import Cause, InputsError, Problem

_PATIENCE = 20  # seconds without an answer, or between two pieces of it
_CHUNK = 1024 * 1024
SCHEMES = ("http://", "https://")


def is_url(text: str) -> bool:
    """Whether a text is an address of the web, of any kind."""
    kind, found, _ = text.partition("://")
    return bool(found) and kind.isalnum()


def fetch(url: str, digest: str = "") -> Iterator[bytes]:
    """The content of a file of the web, in pieces; `digest` is the SHA-256 that it must have, if any.

    Raises `InputsError` that says how to give a file in its place, as one has to without a network.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    hashed = hashlib.sha256()
    try:
        with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310 - only of KINDS, see `order`
            while data := answer.read(_CHUNK):
                hashed.update(data)
                yield data
            if answer.length:
                raise _failed(url, f"it ended {answer.length} bytes too early")
    except HTTPError as error:
        error.close()  # it is the answer itself
        raise _failed(url, f"the server answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _failed(url, str(getattr(error, "reason", error))) from error
    if digest and hashed.hexdigest() != digest:
        raise checksum_error(url, digest, hashed.hexdigest())


def checksum_error(place: str, wanted: str, found: str) -> InputsError:
    """The refusal of a dataset that is another one than the order says."""
    problem = Problem(
        place, f"its SHA-256 is {found}, not {wanted}", "fetch it anew, or correct the checksum"
    )
    return InputsError(
        "the dataset is not the one that was announced",
        remedy="compare it with `sha256sum FILE`",
        cause=Cause.DATASET_CHECKSUM,
        problems=[problem],
    )


def _failed(url: str, why: str) -> InputsError:
    problem = Problem(url, f"cannot be fetched: {why}", f"save it as a file, and give `{url}=@FILE`")
    return InputsError(
        "a file could not be fetched",
        remedy="check the address and the network; without one, give a file in its place",
        problems=[problem],
    )
