"""Inputs that are URLs: `https://...`, and any other protocol of the package fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.masking.masker import MASK, MIN_LENGTH
from localrun.values.region_names import parse_region_name

WEB = ("http", "https")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)(?:::[^/]*)?://", re.IGNORECASE)
# protocols whose files are on this machine, or in archives and caches on it
_LOCAL = frozenset(
    {
        *("file", "local", "git", "dir", "reference", "zip", "tar", "libarchive", "data", "generic", "dask"),
        *("blockcache", "filecache", "simplecache", "cached", "asyncwrapper"),
    }
)
_INSTALL = "install it: `pip install 'localrun-tasks[urls]'`"
_FILES = (File, Image, Geometry)


class Url(msgspec.Struct, frozen=True):
    """A file to download. As a string, it has no credentials."""

    text: str

    def __str__(self) -> str:
        return mask_url(self.text)

    __repr__ = __str__

    @property
    def scheme(self) -> str:
        found = _SCHEME.match(self.text)
        return found[1].lower() if found else ""

    @property
    def problem(self) -> tuple[str, str] | None:
        """Why it cannot be downloaded, and what to do about it; None if it may work."""
        if self.scheme in WEB:
            return None if _split(self.text).hostname else (f"{self} has no host", "write https://HOST/FILE")
        if "::" in self.text:
            return f"{self} is a chain of protocols", "use the URL of the file itself"
        if self.scheme in _LOCAL:
            return f"{self.scheme}:// is not downloaded: its files are on this machine", "pass a path: @FILE"
        return _problem_of(self.scheme)


def is_url(text: str) -> bool:
    return _SCHEME.match(text) is not None


def with_urls(values: dict[str, Any], descriptor: Descriptor) -> dict[str, Any]:
    """Return values with `Url` for the strings that are files of inputs and their regions."""
    return {name: _with_urls(_type_of(name, descriptor), value) for name, value in values.items()}


def _type_of(name: str, descriptor: Descriptor) -> DataType | None:
    if name in descriptor.inputs:
        return descriptor.inputs[name].type
    return Geometry() if parse_region_name(name) is not None else None


def _with_urls(kind: DataType | None, value: Any) -> Any:
    if isinstance(kind, Array) and isinstance(value, (list, tuple)):
        return [_with_urls(kind.subtype, item) for item in value]
    if isinstance(value, dict) and value.keys() == {"index", "value"}:
        return {**value, "value": _with_urls(kind, value["value"])}
    if isinstance(kind, Image) and isinstance(value, dict) and "file" in value:
        return {key: Url(part) if _is_url(part) else part for key, part in value.items()}
    return Url(value) if isinstance(kind, _FILES) and _is_url(value) else value


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and is_url(value)


def _problem_of(scheme: str) -> tuple[str, str] | None:
    """Return why fsspec cannot read a protocol, and a remedy; None if it can."""
    try:
        import fsspec  # type: ignore[import-untyped]
        from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]
    except ImportError:
        return f"{scheme}:// needs the package fsspec, which is not installed", _INSTALL
    try:
        found = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        return f"{scheme}:// needs another package: {error}", "install it next to localrun"
    except ValueError:
        return f"unknown protocol {scheme}://", "use https://, or pass a local file: @FILE"
    if issubclass(found, LocalFileSystem):
        return f"{scheme}:// is not downloaded: its files are on this machine", "pass a path: @FILE"
    return None


# -- credentials --------------------------------------------------------------------------------------


def mask_url(url: str) -> str:
    """Return a URL without its user, its password, and the values of its query."""
    parts = _split(url)
    user, at, host = parts.netloc.rpartition("@")
    query = "&".join(f"{key}={MASK}" if same else MASK for key, same, _ in _pairs(parts))
    fragment = MASK if parts.fragment else ""
    return parts._replace(netloc=f"{MASK if user else ''}{at}{host}", query=query, fragment=fragment).geturl()


def mask_credentials(text: str, url: str) -> str:
    """Return a text, e.g. of an error, without the credentials in the URL."""
    parts = _split(url)
    user = parts.netloc.rpartition("@")[0]
    found = {url: mask_url(url), user: MASK, user.partition(":")[2]: MASK, parts.fragment: MASK}
    found |= dict.fromkeys((parts.query, *(value for _, _, value in _pairs(parts))), MASK)
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) >= MIN_LENGTH:  # a shorter one is found in other words
            text = text.replace(secret, found[secret]).replace(unquote(secret), found[secret])
    return text


def _pairs(parts: SplitResult) -> Iterator[tuple[str, str, str]]:
    return (pair.partition("=") for pair in parts.query.split("&") if pair)


def _split(url: str) -> SplitResult:
    try:
        found = urlsplit(url)
        _ = found.hostname
    except ValueError:  # e.g. an unclosed bracket
        return SplitResult(_SCHEME.match(url)[1] if is_url(url) else "", MASK, "", "", "")  # type: ignore[index]
    return found
