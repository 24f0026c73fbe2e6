"""Download input files from the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from localrun.errors import Cause, InputsError, Problem
from localrun.values.downloads import DownloadFailed, read_url
from localrun.values.urls import mask_url

SCHEMES = ("http://", "https://")


def fetch(url: str, digest: str = "") -> Iterator[bytes]:
    """Download a file in chunks; `digest` is its expected SHA-256, if any.

    Raises `InputsError`, whose remedy is to pass a local file instead.
    """
    hashed = hashlib.sha256()
    try:
        for data in read_url(url):
            hashed.update(data)
            yield data
    except DownloadFailed as error:
        raise _failed(url, str(error)) from error
    if digest and hashed.hexdigest() != digest:
        raise checksum_error(mask_url(url), digest, hashed.hexdigest())


def checksum_error(source: str, expected: str, actual: str) -> InputsError:
    """Return the error for a dataset with another checksum."""
    message = f"its SHA-256 is {actual}, expected {expected}"
    problems = [Problem(source, message, "download it again, or correct the checksum")]
    message, remedy = "the checksum of the dataset does not match", "check it with `sha256sum FILE`"
    return InputsError(message, remedy=remedy, cause=Cause.DATASET_CHECKSUM, problems=problems)


def _failed(url: str, reason: str) -> InputsError:
    url = mask_url(url)
    problem = Problem(url, f"download failed: {reason}", f"save it as a file and pass `{url}=@FILE`")
    remedy = "check the URL and the network, or pass a local file"
    return InputsError("a download failed", remedy=remedy, problems=[problem])
