"""List the images of an archive: `docker save` archives of all versions, and OCI layouts.

If both `manifest.json` (Docker) and `index.json` (OCI) exist, both are read: the first has the tags, the
second all platforms. Attestations are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec.structs import replace

from localrun.bundle import cancellation
from localrun.bundle.images.archive_index import ArchiveIndex
from localrun.bundle.images.source import ArchivedImage
from localrun.engines.architectures import platform_of
from localrun.engines.image_content import image_content
from localrun.errors import Problem

DOCKER_MANIFEST, OCI_INDEX = "manifest.json", "index.json"
INDEX_DEPTH = 4
ENTRY_LIMIT = 256  # manifests in one document
MANIFEST_LIMIT = 512  # different manifests and indexes in one archive
REFERENCE_LIMIT = 4096  # entries of all indexes
TAG_LIMIT = 128  # names of one image
LAYER_LIMIT = 1024
PROBLEM_LIMIT = 1000
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(slots=True)
class Catalogue:
    """The complete images, and the problems of the others, at most `PROBLEM_LIMIT`.

    `manifests` has the ids of the images in each manifest and index that was read. `configs` has the
    configurations, None if invalid. Each document is read once, however often the archive refers to it.
    """

    images: dict[str, ArchivedImage] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    manifests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    configs: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    references: int = 0

    def add(self, image: ArchivedImage) -> None:
        """Add an image, or add only its tags if it is already known."""
        known = self.images.get(image.id)
        if known is None:
            self.images[image.id] = image
        else:
            self.images[image.id] = replace(known, zstd=known.zstd or image.zstd)
            self.add_tags(image.id, image.tags)

    def add_tags(self, image_id: str, tags: tuple[str, ...]) -> None:
        known = self.images[image_id]
        # newer versions of docker save each name a second time, with the registry of Docker Hub
        same = {*known.tags, *(f"docker.io/{tag}" for tag in known.tags)}
        new = tuple(tag for tag in dict.fromkeys(tags) if tag not in same)
        if new:
            self.images[image_id] = replace(known, tags=(*known.tags, *new)[:TAG_LIMIT])

    def add_manifests(self) -> None:
        """Add the digests of manifests and indexes to their images."""
        for name, ids in self.manifests.items():
            for image in (self.images[image_id] for image_id in ids):
                digest = f"sha256:{name.rpartition('/')[2]}"
                self.images[image.id] = replace(image, manifests=(*image.manifests, digest))

    def add_problem(self, path: str, message: str) -> None:
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(path, message))


def list_images(contents: ArchiveIndex) -> Catalogue:
    """Return the images of an archive and the problems found."""
    found = Catalogue()
    if contents.find_file(DOCKER_MANIFEST):
        _docker(contents, found)
    if contents.find_file(OCI_INDEX) and (index := _document(contents, found, OCI_INDEX, dict)) is not None:
        _index(contents, found, index, _Reference(OCI_INDEX))
    if contents.is_cut_off:
        found.add_problem("", f"only its first {len(contents.members)} members were read")
    found.problems = list(dict.fromkeys(found.problems))
    found.add_manifests()
    return found


def _docker(contents: ArchiveIndex, found: Catalogue) -> None:
    entries = _document(contents, found, DOCKER_MANIFEST, list)
    if entries == []:
        found.add_problem(DOCKER_MANIFEST, "it lists no images")
    for number, entry in enumerate(_first(found, DOCKER_MANIFEST, entries)):
        place = f"{DOCKER_MANIFEST}[{number}]"
        config, layers, tags = (_get(entry, key) for key in ("Config", "Layers", "RepoTags"))
        if not isinstance(config, str) or not _strings(layers):
            found.add_problem(place, "missing Config (string) or Layers (list of strings)")
            continue
        manifest = ImageManifest(
            place, config, tuple(layers), tuple(tags[:TAG_LIMIT]) if _strings(tags) else ()
        )
        _image(contents, found, manifest)


class _Reference(NamedTuple):
    """The name of a document, the tags of the images in it, and the number of indexes around it."""

    name: str
    tags: tuple[str, ...] = ()
    depth: int = 0


def _index(contents: ArchiveIndex, found: Catalogue, index: Any, place: _Reference) -> tuple[str, ...]:
    """Read the entries of an index; return the ids of the images."""
    entries = _get(index, "manifests")
    if not entries:
        found.add_problem(place.name, "it lists no images")
    ids: dict[str, None] = {}
    for entry in _first(found, place.name, entries):
        if _is_attestation(entry):
            continue
        blob = _blob(_get(entry, "digest"))
        if blob is None:
            digest = _get(entry, "digest")
            found.add_problem(place.name, f"invalid manifest digest {digest!r:.80}")
        elif contents.find_file(blob) is None:
            found.add_problem(blob, f"the manifest of {_platform(entry)} is missing")
        else:
            inner = _Reference(blob, place.tags or _tags(entry), place.depth + 1)
            ids |= dict.fromkeys(_manifest(contents, found, inner))
    return tuple(ids)


def _manifest(contents: ArchiveIndex, found: Catalogue, place: _Reference) -> tuple[str, ...]:
    """Read a manifest or an index, once; return the ids of the images."""
    cancellation.check()
    found.references += 1
    if found.references > REFERENCE_LIMIT:
        found.add_problem("", f"its indexes have more than {REFERENCE_LIMIT} entries")
        return ()
    name = place.name
    if name in found.manifests:
        for image_id in found.manifests[name]:
            found.add_tags(image_id, place.tags)
        return found.manifests[name]
    if len(found.manifests) >= MANIFEST_LIMIT:
        found.add_problem("", f"it has more than {MANIFEST_LIMIT} manifests")
        return ()
    found.manifests[name] = ()
    document = _document(contents, found, name, dict)
    if document is None or not _matches_name(contents, found, name):
        return ()
    if "manifests" not in document:
        found.manifests[name] = _image_manifest(contents, found, document, place)
    elif place.depth > INDEX_DEPTH:
        found.add_problem(name, f"indexes are nested more than {INDEX_DEPTH} levels deep")
    else:
        found.manifests[name] = _index(contents, found, document, place)
    return found.manifests[name]


def _image_manifest(
    contents: ArchiveIndex, found: Catalogue, document: Any, place: _Reference
) -> tuple[str, ...]:
    layers = _get(document, "layers")
    config = _blob(_get(_get(document, "config"), "digest"))
    names = [_blob(_get(layer, "digest")) for layer in layers] if isinstance(layers, list) else [None]
    if config is None or None in names:
        found.add_problem(place.name, "not an image manifest: config or layers without a SHA-256 digest")
        return ()
    zstd = any("zstd" in kind for layer in layers if isinstance(kind := _get(layer, "mediaType"), str))
    manifest = ImageManifest(place.name, config, tuple(filter(None, names)), place.tags, zstd)
    return _image(contents, found, manifest)


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """An image as a manifest describes it: `document` is the manifest's own path in the archive."""

    document: str
    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]
    zstd: bool = False


def _image(contents: ArchiveIndex, found: Catalogue, manifest: ImageManifest) -> tuple[str, ...]:
    """Add the image of a manifest; return its id, or nothing if it is incomplete."""
    if len(manifest.layers) > LAYER_LIMIT:
        message = f"it lists {len(manifest.layers)} layers; the limit is {LAYER_LIMIT}"
        found.add_problem(manifest.document, message)
        return ()
    problems = list(_missing(contents, manifest))
    config = _config(contents, found, manifest.config)
    if config is None and contents.find_file(manifest.config):
        return ()
    if config is not None:
        if _get(config, "os") == "unknown":  # an attestation that is marked only in its configuration
            return ()
        problems += _config_problems(manifest, config)
    if problems or config is None:
        for problem in problems:
            found.add_problem(problem.path, problem.message)
        return ()
    members = [member for name in (manifest.config, *manifest.layers) if (member := contents.find_file(name))]
    if repeated := {member.name for member in members} & contents.duplicates:
        found.add_problem(manifest.document, f"{', '.join(sorted(repeated))} appears more than once")
        return ()
    name = members[0].name
    system, machine, variant = (_text(config, key) for key in ("os", "architecture", "variant"))
    settings, diff_ids = _get(config, "config"), tuple(_get(_get(config, "rootfs"), "diff_ids") or ())
    image = ArchivedImage(
        contents.digest(name),
        *(system, machine, variant, name),
        layers=tuple(member.name for member in members[1:]),
        size=sum({member.name: member.size for member in members}.values()),
        tags=manifest.tags,
        zstd=manifest.zstd,
        content=image_content(
            platform_of(system, machine, variant), settings if isinstance(settings, dict) else {}, diff_ids
        ),
        diff_ids=diff_ids,
    )
    found.add(image)
    return (image.id,)


def _config(contents: ArchiveIndex, found: Catalogue, name: str) -> dict[str, Any] | None:
    """Return a configuration, read once, or None if it is missing or invalid."""
    if contents.find_file(name) is None:
        return None
    if name not in found.configs:
        config = _document(contents, found, name, dict)
        valid = config is not None and _matches_name(contents, found, name)
        found.configs[name] = config if valid else None
    return found.configs[name]


def _missing(contents: ArchiveIndex, manifest: ImageManifest) -> Iterator[Problem]:
    if contents.find_file(manifest.config) is None:
        yield Problem(manifest.document, f"the configuration {manifest.config!r:.200} is missing")
    total = len(manifest.layers)
    for number, layer in enumerate(manifest.layers, 1):
        if contents.find_file(layer) is None:
            yield Problem(manifest.document, f"layer {number} of {total}, {layer!r:.200}, is missing")


def _config_problems(manifest: ImageManifest, config: Any) -> Iterator[Problem]:
    diffs = _get(_get(config, "rootfs"), "diff_ids") or []
    if not isinstance(_get(config, "rootfs"), dict) or not _strings(diffs):
        yield Problem(manifest.config, "not an image configuration: missing rootfs.diff_ids")
    elif len(diffs) != len(manifest.layers):
        message = f"it lists {len(manifest.layers)} layers, its configuration {len(diffs)}"
        yield Problem(manifest.document, message)


def _matches_name(contents: ArchiveIndex, found: Catalogue, name: str) -> bool:
    member = contents.find_file(name)
    actual = contents.digest(member.name) if member else ""
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


def _get(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, dict) else None


def _text(document: Any, key: str) -> str:
    value = _get(document, key)
    return value if isinstance(value, str) else ""


def _first(found: Catalogue, name: str, entries: Any) -> list[Any]:
    if not isinstance(entries, list):
        return []
    if len(entries) > ENTRY_LIMIT:
        found.add_problem(name, f"it lists {len(entries)} manifests; only the first {ENTRY_LIMIT} are read")
    return entries[:ENTRY_LIMIT]


def _strings(items: Any) -> bool:
    return isinstance(items, list) and all(isinstance(item, str) for item in items)
