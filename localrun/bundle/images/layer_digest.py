"""The digest of a layer's uncompressed content, computed while the layer is sent."""

from __future__ import annotations

import hashlib
import zlib

from localrun.bundle.images.compressed import CHUNK, ZSTD

_GZIP = b"\x1f\x8b"


class LayerDigest:
    """The SHA-256 of content that may be compressed with gzip. One with zstd has no digest here."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._start = b""
        self._inflating: zlib._Decompress | None = None
        self._is_unknown = False

    def update(self, chunk: bytes) -> None:
        """Add the next bytes as they are stored. Those that cannot be decompressed change the digest."""
        if not self._start:
            self._start = chunk[:4]
            self._is_unknown = self._start == ZSTD
            if self._start.startswith(_GZIP):
                self._inflating = zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._is_unknown:
            return
        if self._inflating is None:
            self._digest.update(chunk)
            return
        try:
            self._inflate(chunk)
        except zlib.error:
            self._inflating = None
            self._digest.update(chunk)

    def _inflate(self, chunk: bytes) -> None:
        assert self._inflating is not None
        while chunk:
            self._digest.update(self._inflating.decompress(chunk, CHUNK))
            chunk = self._inflating.unconsumed_tail
            if self._inflating.eof and (chunk := self._inflating.unused_data):  # concatenated gzip files
                self._inflating = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def value(self) -> str:
        """Return `sha256:...`; empty if it is not known."""
        return "" if self._is_unknown else f"sha256:{self._digest.hexdigest()}"
