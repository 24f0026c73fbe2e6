"""List the images of an archive: `docker save` archives of all versions, and OCI layouts.

If both `manifest.json` (Docker) and `index.json` (OCI) exist, both are read: the first has the tags, the
second all platforms. Attestations are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from localrun.bundle.images.archive_index import ArchiveIndex
from localrun.bundle.images.source import ArchivedImage
from localrun.errors import Problem

DOCKER_MANIFEST, OCI_INDEX = "manifest.json", "index.json"
INDEX_DEPTH = 4
ENTRY_LIMIT = 256  # manifests in one document
LAYER_LIMIT = 1024
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(slots=True)
class Catalogue:
    """The complete images, and the problems of the others."""

    images: dict[str, ArchivedImage] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, image: ArchivedImage) -> None:
        """Add an image, or add only its tags if it is already known."""
        known = self.images.get(image.id)
        if known is None:
            self.images[image.id] = image
        else:
            tags = tuple(dict.fromkeys((*known.tags, *image.tags)))
            self.images[image.id] = replace(known, tags=tags, zstd=known.zstd or image.zstd)

    def add_problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))


def list_images(contents: ArchiveIndex) -> Catalogue:
    """Return the images of an archive and the problems found."""
    found = Catalogue()
    if contents.find_file(DOCKER_MANIFEST):
        _docker(contents, found)
    if contents.find_file(OCI_INDEX):
        _index(contents, found, OCI_INDEX, (), 0)
    found.problems = list(dict.fromkeys(found.problems))
    return found


def _docker(contents: ArchiveIndex, found: Catalogue) -> None:
    entries = _document(contents, found, DOCKER_MANIFEST, list)
    if entries == []:
        found.add_problem(DOCKER_MANIFEST, "it lists no images")
    for number, entry in enumerate(_first(entries)):
        place = f"{DOCKER_MANIFEST}[{number}]"
        config, layers, tags = (_get(entry, key) for key in ("Config", "Layers", "RepoTags"))
        if not isinstance(config, str) or not _strings(layers):
            found.add_problem(place, "missing Config (string) or Layers (list of strings)")
            continue
        manifest = ImageManifest(place, config, tuple(layers), tuple(tags) if _strings(tags) else ())
        _image(contents, found, manifest)


def _index(contents: ArchiveIndex, found: Catalogue, name: str, tags: tuple[str, ...], depth: int) -> None:
    index = _document(contents, found, name, dict)
    entries = _get(index, "manifests")
    if index is not None and not entries:
        found.add_problem(name, "it lists no images")
    for entry in _first(entries):
        if _is_attestation(entry):
            continue
        blob = _blob(_get(entry, "digest"))
        if blob is None:
            found.add_problem(name, f"invalid manifest digest {_get(entry, 'digest')!r:.80}")
        elif contents.find_file(blob) is None:
            found.add_problem(blob, f"the manifest of {_platform(entry)} is missing")
        else:
            _manifest(contents, found, blob, tags or _tags(entry), depth)


def _manifest(contents: ArchiveIndex, found: Catalogue, name: str, tags: tuple[str, ...], depth: int) -> None:
    document = _document(contents, found, name, dict)
    if document is None or not _matches_name(contents, found, name):
        return
    if "manifests" in document:
        if depth >= INDEX_DEPTH:
            found.add_problem(name, f"indexes are nested more than {INDEX_DEPTH} levels deep")
        else:
            _index(contents, found, name, tags, depth + 1)
        return
    layers = _get(document, "layers")
    config = _blob(_get(_get(document, "config"), "digest"))
    names = [_blob(_get(layer, "digest")) for layer in layers] if isinstance(layers, list) else [None]
    if config is None or None in names:
        found.add_problem(name, "not an image manifest: config or layers without a SHA-256 digest")
        return
    zstd = any("zstd" in str(_get(layer, "mediaType")) for layer in layers)
    _image(contents, found, ImageManifest(name, config, tuple(filter(None, names)), tags, zstd))


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """An image as a manifest describes it: `document` is the manifest's own path in the archive."""

    document: str
    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]
    zstd: bool = False


def _image(contents: ArchiveIndex, found: Catalogue, manifest: ImageManifest) -> None:
    problems = list(_missing(contents, manifest))
    config = None
    if contents.find_file(manifest.config):
        config = _document(contents, found, manifest.config, dict)
        if config is None or not _matches_name(contents, found, manifest.config):
            return
        if _get(config, "os") == "unknown":  # an attestation that is marked only in its configuration
            return
        problems += _config_problems(manifest, config)
    if problems or config is None:
        found.problems += problems
        return
    members = [member for name in (manifest.config, *manifest.layers) if (member := contents.find_file(name))]
    if repeated := {member.name for member in members} & contents.duplicates:
        found.add_problem(manifest.document, f"{', '.join(sorted(repeated))} appears more than once")
        return
    system, machine, variant = (str(config.get(key) or "") for key in ("os", "architecture", "variant"))
    name, *layers = [member.name for member in members]
    image_id = _digest(contents.documents[name])
    size = sum({member.name: member.size for member in members}.values())
    tags, zstd = manifest.tags, manifest.zstd
    found.add(ArchivedImage(image_id, system, machine, variant, name, tuple(layers), size, tags, zstd))


def _missing(contents: ArchiveIndex, manifest: ImageManifest) -> Iterator[Problem]:
    if contents.find_file(manifest.config) is None:
        yield Problem(manifest.document, f"the configuration {manifest.config!r} is missing")
    total = len(manifest.layers)
    for number, layer in enumerate(manifest.layers[:LAYER_LIMIT], 1):
        if contents.find_file(layer) is None:
            yield Problem(manifest.document, f"layer {number} of {total}, {layer!r}, is missing")
    if total > LAYER_LIMIT:
        yield Problem(manifest.document, f"it lists {total} layers; the limit is {LAYER_LIMIT}")


def _config_problems(manifest: ImageManifest, config: Any) -> Iterator[Problem]:
    diffs = _get(_get(config, "rootfs"), "diff_ids") or []
    if not isinstance(_get(config, "rootfs"), dict) or not _strings(diffs):
        yield Problem(manifest.config, "not an image configuration: missing rootfs.diff_ids")
    elif len(diffs) != len(manifest.layers):
        message = f"it lists {len(manifest.layers)} layers, its configuration {len(diffs)}"
        yield Problem(manifest.document, message)


def _matches_name(contents: ArchiveIndex, found: Catalogue, name: str) -> bool:
    member = contents.find_file(name)
    actual = _digest(contents.documents[member.name]) if member else ""
    if _claimed_digest(name) in ("", actual):
        return True
    found.add_problem(name, f"its SHA-256 is {actual[7:]}, which does not match its name")
    return False


def _document(contents: ArchiveIndex, found: Catalogue, name: str, kind: type) -> Any:
    try:
        document = contents.load_json(name)
    except ValueError as error:
        found.add_problem(name, f"invalid JSON: {error}")
        return None
    if not isinstance(document, kind):
        found.add_problem(name, f"not a JSON {'list' if kind is list else 'object'}")
        return None
    return document


def _is_attestation(entry: Any) -> bool:
    kind = _get(_get(entry, "annotations"), "vnd.docker.reference.type")
    return bool(kind == "attestation-manifest") or bool(_get(_get(entry, "platform"), "os") == "unknown")


def _platform(entry: Any) -> str:
    platform = _get(entry, "platform")
    parts = [_get(platform, key) for key in ("os", "architecture", "variant")]
    return "/".join(part for part in parts if isinstance(part, str) and part) or "its image"


def _tags(entry: Any) -> tuple[str, ...]:
    names = [_get(_get(entry, "annotations"), key) for key in _NAMES]
    return tuple(name for name in names if isinstance(name, str) and name)[:1]


def _blob(digest: Any) -> str | None:
    if not isinstance(digest, str) or not digest.startswith("sha256:") or not _is_hex(digest[7:]):
        return None
    return f"blobs/sha256/{digest[7:]}"


def _claimed_digest(name: str) -> str:
    stem = name.rpartition("/")[2].removeprefix("sha256:").removesuffix(".json")
    return f"sha256:{stem}" if _is_hex(stem) else ""


def _is_hex(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")


def _digest(data: bytes) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(data).hexdigest()


def _get(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, dict) else None


def _first(entries: Any) -> list[Any]:
    return entries[:ENTRY_LIMIT] if isinstance(entries, list) else []


def _strings(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, str) for item in items)
