"""Check a bundle like App Engine's upload: member order, image name and image archive."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localrun.bundle.images.archive_index import ArchiveIndex
from localrun.bundle.images.manifest import DOCKER_MANIFEST, OCI_INDEX
from localrun.bundle.parts import is_descriptor
from localrun.bundle.validation.findings import Finding, refused, warning
from localrun.descriptor import Descriptor

_REF_NAME = "org.opencontainers.image.ref.name"
# grammar of image names in the OCI distribution specification
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_BUILD_AGAIN = "write the bundle with `localrun build`"


def image_name(descriptor: Descriptor) -> str:
    """Return the documented name of a bundle's image, e.g. `com/my/task:1.0.0`."""
    return f"{descriptor.namespace.replace('.', '/')}:{descriptor.version}"


def archive_name(descriptor: Descriptor) -> str:
    """Return the documented name of a bundle's image archive, e.g. `com.my.task-1.0.0.tar`."""
    return f"{descriptor.namespace}-{descriptor.version}.tar"


def check_zip(path: Path, descriptor: Descriptor) -> Iterator[Finding]:
    """Check the members in App Engine's reading order. The zip has passed the safety checks."""
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda item: item.header_offset)
    names = [item.filename for item in members if not item.is_dir()]
    tars = [name for name in names if name.endswith(".tar")]
    for name in tars:
        yield from _check_tar_member(name, len(tars))
        yield from check_name(name, descriptor)
    descriptors = [number for number, name in enumerate(names) if is_descriptor(name)]
    if tars and descriptors and names.index(tars[0]) < descriptors[0]:
        message = "the image comes before the descriptor: if App Engine refuses the descriptor, it answers"
        message += " error 500 without a reason and deletes its image of that name"
        yield warning(repr(tars[0]), message, _BUILD_AGAIN)


def _check_tar_member(name: str, count: int) -> Iterator[Finding]:
    base = posixpath.basename(name)
    if base.startswith("._") or name.startswith("__MACOSX/"):
        message = f"it takes every name that ends in .tar for an image, including {name!r}"
        yield refused(repr(name), message, "pack it without the files that the system has added")
    elif count > 1:
        yield warning(repr(name), "App Engine takes every .tar for an image and uses the last name")


def check_name(name: str, descriptor: Descriptor) -> Iterator[Finding]:
    """Check the image name that App Engine derives from the name of the archive."""
    stem = name.removesuffix(".tar")
    namespace, dash, tag = stem.partition("-")
    if not name.endswith(".tar") or not dash:
        return  # reported when the bundle is read
    repository = namespace.replace(".", "/")
    expected = image_name(descriptor)
    remedy = "use a lower-case namespace whose parts start and end with a letter or digit"
    if not _REPOSITORY.fullmatch(repository):
        yield refused(repr(name), f"it names the image {repository!r}, which no registry takes", remedy)
    elif not _TAG.fullmatch(tag):
        message = f"it tags the image {tag!r}, which no registry takes"
        yield refused(repr(name), message, "correct the version")
    elif f"{repository}:{tag}" != expected:
        message = (
            f"App Engine names the image {repository}:{tag}, which does not fit the descriptor ({expected})"
        )
        yield warning(repr(name), message, f"name the archive {archive_name(descriptor)}")


def check_archive(contents: ArchiveIndex, name: str) -> Iterator[Finding]:
    """Check the image archive by the document that comes first, like App Engine's registry client."""
    checks = {DOCKER_MANIFEST: _docker, OCI_INDEX: _oci}
    first = next((member for member in contents.members if posixpath.basename(member) in checks), None)
    if first is None:
        return  # reported when the bundle is read
    if reason := checks[posixpath.basename(first)](contents, first):
        yield refused(repr(name), f"it reads {first} of the archive, and {reason}", _BUILD_AGAIN)


def _docker(contents: ArchiveIndex, name: str) -> str:
    entry = _first(_json(contents, name))
    if entry is None:
        return "it lists no images"
    layers = entry.get("Layers")
    parts = [entry.get("Config"), *(layers if isinstance(layers, list) else [None])]
    missing = next((part for part in parts if not isinstance(part, str) or not contents.find_file(part)), "")
    if missing != "":
        return f"a part of its first image is missing: {missing!r:.80}"
    tags = entry.get("RepoTags")
    if not isinstance(tags, list) or not tags:
        return "its first image has no name (RepoTags)"
    return ""


def _oci(contents: ArchiveIndex, name: str) -> str:
    index = _json(contents, name)
    entry = _first(index.get("manifests")) if isinstance(index, dict) else None
    if entry is None:
        return "it lists no images"
    manifest = _blob(contents, entry)
    if not isinstance(manifest, dict):
        return "the manifest of its first image is missing"
    if "manifests" in manifest:
        return "its first entry is a list of images (several platforms, or attestations), not an image"
    layers = manifest.get("layers")
    for part in [manifest.get("config"), *(layers if isinstance(layers, list) else [None])]:
        if _member(contents, part) is None:
            return "a part of its first image is missing"
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict) or not annotations.get(_REF_NAME):
        return f"its first image has no name (the annotation {_REF_NAME})"
    return ""


def _json(contents: ArchiveIndex, name: str) -> Any:
    try:
        return contents.load_json(name)
    except (KeyError, ValueError):
        return None


def _first(entries: Any) -> dict[str, Any] | None:
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else None


def _member(contents: ArchiveIndex, part: Any) -> str | None:
    digest = part.get("digest") if isinstance(part, dict) else None
    if not isinstance(digest, str):
        return None
    found = contents.find_file(f"blobs/{digest.replace(':', '/', 1)}")
    return found.name if found else None


def _blob(contents: ArchiveIndex, part: Any) -> Any:
    name = _member(contents, part)
    return _json(contents, name) if name else None
