"""What a row is recognised by: a digest of everything that its result depends on.

Limits such as memory and time are not a part of it, so a row that failed for them can run again with others.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from localrun.batch.rows import Row
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.descriptor import Descriptor
from localrun.manager.inputs import gather
from localrun.manager.request import Request
from localrun.values import FileValue
from localrun.values.reuse.digests import digests_in

_OPTIONS = (
    *("platform", "command", "environment", "network", "gpus", "bind_mounts", "hardened"),
    *("writable_inputs", "hostname", "replicas", "agree", "profile", "callback"),
)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def image_identity(source: ImageSource, cache: Path) -> str:
    """Return what identifies the content of an image, without an engine; empty if only an engine knows."""
    if isinstance(source, ImageArchive):
        return " ".join(image.content or image.id for image in source.images)
    return context_digest(source, cache) if isinstance(source, ImageFolder) else ""


def shared_identity(request: Request, descriptor: Descriptor, image: str) -> dict[str, str]:
    """Return the digests of what all rows share, by name."""
    options = {name: getattr(request, name) for name in _OPTIONS}
    names = {"descriptor": descriptor.source.decode("latin-1"), "image": image, **options}
    return {name: _hash(value) for name, value in names.items()}


class Identifier:
    """Identifies the rows of a batch, in their order. `shared` is what `shared_identity` returned.

    The digests of files are kept in `cache`.
    """

    def __init__(
        self, batch: str, shared: Mapping[str, str], request: Request, descriptor: Descriptor, cache: Path
    ) -> None:
        self._batch = batch
        self._start = hashlib.sha256(f"[{_json(dict(shared))},".encode())
        self._request = request
        self._descriptor = descriptor
        self._files = digests_in(cache)
        self._seen: Counter[bytes] = Counter()

    def identify(self, row: Row) -> Row:
        """Return the row with its digest. Raises `InputsError` if its inputs cannot be gathered."""
        given = gather(row.request(self._request), self._descriptor).given
        contents = {str(name): self._content(value) for name, value in sorted(given.items())}
        hashed = self._start.copy()
        hashed.update(f"{_json(contents)}]".encode())
        digest, key = hashed.hexdigest(), hashed.digest()
        occurrence = self._seen[key]
        self._seen[key] += 1
        return msgspec.structs.replace(row, batch=self._batch, digest=digest, occurrence=occurrence)

    def _content(self, value: Any) -> Any:
        """Return a value with the digests of files instead of their paths."""
        if isinstance(value, FileValue):
            return self._content(value.path)
        if isinstance(value, os.PathLike):
            return {"content": self._digest(Path(value))}
        if isinstance(value, Mapping):
            return {str(name): self._content(item) for name, item in value.items()}
        return [self._content(item) for item in value] if isinstance(value, list | tuple) else value

    def _digest(self, path: Path) -> str:
        try:
            return self._files.find_content(path)
        except OSError:  # the row is refused when it starts
            return f"unreadable {path}"


def _hash(value: Any) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()


def _json(value: Any) -> str:
    return _ENCODER.encode(msgspec.to_builtins(value, enc_hook=str))
