"""Generated image archives in every format."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localrun.bundle.images.archive import inspect
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.source import ImageArchive
from tests.support.images import tar_of

LAYER = tar_of({"hello": b"hello"})
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(
    *layers: bytes, architecture: str = "amd64", system: str = "linux", variant: str = "", **more: Any
) -> bytes:
    """Return an image config; `layers` are uncompressed, `more` are Docker's fields: Cmd, Env, ..."""
    described = {
        "architecture": architecture,
        "os": system,
        **({"variant": variant} if variant else {}),
        "config": more,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(layer)}" for layer in layers]},
    }
    return json.dumps(described).encode()


def manifest_json(config_name: str, layers: Sequence[str], tags: Sequence[str] | None) -> bytes:
    return json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": list(layers)}]).encode()


def old_save(
    tags: Sequence[str] | None = ("local-image-name:latest",), layer: bytes = LAYER
) -> dict[str, bytes]:
    """Return the members of an archive of `docker save` before Docker 25."""
    text = config(layer, Cmd=["/hello"])
    return {
        "abc/": b"",
        "abc/VERSION": b"1.0",
        "abc/json": b'{"id": "abc"}',
        "abc/layer.tar": layer,
        f"{sha(text)}.json": text,
        "manifest.json": manifest_json(f"{sha(text)}.json", ["abc/layer.tar"], tags),
        "repositories": b"{}",
    }


@dataclass(frozen=True)
class Blob:
    """An OCI descriptor and the members that it refers to."""

    descriptor: dict[str, Any]
    members: dict[str, bytes]

    def renamed(self, **more: Any) -> Blob:
        return Blob({**self.descriptor, **more}, self.members)


def blob(data: bytes, media_type: str, members: Mapping[str, bytes] | None = None) -> Blob:
    descriptor = {"mediaType": media_type, "digest": f"sha256:{sha(data)}", "size": len(data)}
    return Blob(descriptor, {**(members or {}), f"blobs/sha256/{sha(data)}": data})


def oci_image(layer: bytes = LAYER, *, packed: bool = True, **platform: str) -> Blob:
    """Return a manifest with its config and one (gzip-compressed) layer."""
    text = blob(config(layer, **platform), "application/vnd.oci.image.config.v1+json")
    data = gzip.compress(layer, mtime=0) if packed else layer
    suffix = "+gzip" if packed else ""
    content = blob(data, f"application/vnd.oci.image.layer.v1.tar{suffix}")
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": text.descriptor,
        "layers": [content.descriptor],
    }
    made = blob(json.dumps(manifest).encode(), MANIFEST, {**text.members, **content.members})
    described = {"os": platform.get("system", "linux"), "architecture": platform.get("architecture", "amd64")}
    return made.renamed(platform=described)


def attestation() -> Blob:
    """Return an attestation, as `docker buildx` adds next to an image."""
    text = blob(b'{"os": "unknown", "architecture": "unknown"}', "application/vnd.oci.image.config.v1+json")
    layer = blob(b'{"_type": "in-toto"}', "application/vnd.in-toto+json")
    manifest = {"schemaVersion": 2, "config": text.descriptor, "layers": [layer.descriptor]}
    made = blob(json.dumps(manifest).encode(), MANIFEST, {**text.members, **layer.members})
    return made.renamed(
        platform={"os": "unknown", "architecture": "unknown"},
        annotations={"vnd.docker.reference.type": "attestation-manifest"},
    )


def index_of(*blobs: Blob) -> bytes:
    entries = [item.descriptor for item in blobs]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def oci_layout(*blobs: Blob) -> dict[str, bytes]:
    """Return the members of an OCI layout."""
    members = {name: data for item in blobs for name, data in item.members.items()}
    return {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', **members, "index.json": index_of(*blobs)}


def nested(*blobs: Blob) -> Blob:
    """Return a blob of an index with nested entries."""
    members = {name: data for item in blobs for name, data in item.members.items()}
    return blob(index_of(*blobs), INDEX, members)


def write_and_inspect(path: Path, members: Mapping[str, bytes] | bytes) -> ImageArchive:
    """Write an archive to `path` and inspect it."""
    data = members if isinstance(members, bytes) else tar_of(members)
    path.write_bytes(data)
    return inspect(FileSpan(path, 0, len(data)), path.name)
