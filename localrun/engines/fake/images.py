"""The images of the fake engine, and its registry."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec.structs import replace

from localrun.engines.architectures import Platform, parse_platform, platform_of
from localrun.engines.base import (
    BuilderInfo,
    BuildRequest,
    EngineImage,
    EngineInfo,
    Progress,
    Warn,
    no_progress,
    no_warning,
)
from localrun.engines.context.files import BuildContext, open_file
from localrun.engines.image_content import image_content
from localrun.errors import Cause, ImageError


class FakeImages:
    """Images by id. A name belongs to at most one image. `registry` holds the images to pull, by name.

    `builds` lists the builds so far. `warnings_of_builds` is what `build_warnings` returns, and
    `proxy_variables` what `proxies` does.
    """

    def __init__(self) -> None:
        self.builds: list[BuildRequest] = []
        self.warnings_of_builds: tuple[str, ...] = ()
        self.proxy_variables: dict[str, str] = {}
        self.registry: dict[str, EngineImage] = {}
        self._image_lock = threading.Lock()
        self._images: dict[str, EngineImage] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._archives: dict[str, bytes] = {}

    def info(self) -> EngineInfo:
        """Return the engine's properties."""
        raise NotImplementedError

    def add_image(
        self,
        reference: str,
        *,
        architecture: str = "amd64",
        entrypoint: Sequence[str] = (),
        command: Sequence[str] = (),
        environment: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        where: Literal["engine", "registry"] = "engine",
    ) -> EngineImage:
        """Create an image in the engine or in the registry."""
        digest = hashlib.sha256(f"{reference} {architecture}".encode()).hexdigest()
        image = EngineImage(
            f"sha256:{digest}",
            "linux",
            architecture,
            1,
            tuple(entrypoint),
            tuple(command),
            tags=(reference,),
            environment=tuple(environment),
        )
        if where == "registry":
            self.registry[reference] = image
        else:
            self._add(image, labels or {})
        return image

    def find_image(self, reference: str, platform: str = "") -> EngineImage | None:
        with self._image_lock:
            by_id = self._images.get(reference) or self._images.get(f"sha256:{reference}")
            named = (image for image in self._images.values() if _with_tag(reference) in image.tags)
            found = by_id or next(named, None)
        is_other = found and platform and not parse_platform(platform).accepts(found.platform)
        return None if is_other else found

    def load_image(self, archive: Iterable[bytes]) -> str:
        """Load a `docker save` archive and return the image's id.

        It is the digest of its configuration, or another one if the engine has ids of manifests.
        """
        data = b"".join(archive)
        image, labels = _read_archive(data)
        if self.info().image_ids == "manifest":
            image = replace(image, id=f"sha256:{hashlib.sha256(image.id.encode()).hexdigest()}")
        self._archives[image.id] = data
        self._add(image, labels)
        return image.id

    def save_image(self, image: str) -> Iterator[bytes]:
        """Yield the archive that the image was loaded from, or a new one without files."""
        found = self.require_image(image)
        yield self._archives.get(found.id) or _make_archive(found)

    def proxies(self) -> Mapping[str, str]:
        return self.proxy_variables

    def pull_image(
        self,
        reference: str,
        progress: Progress = no_progress,
        platform: str = "",
        warn: Warn = no_warning,  # noqa: ARG002
    ) -> EngineImage:
        found = self.registry.get(reference)
        if found is not None and platform and not parse_platform(platform).accepts(found.platform):
            raise ImageError(
                f"cannot pull {reference}: no image for {platform}",
                remedy="pass another --platform, or add the image to the fake engine's `registry`",
                cause=Cause.IMAGE_PLATFORM,
                reference=reference,
            )
        if found is None:
            raise ImageError(
                f"cannot pull {reference}: the image does not exist",
                remedy="correct the name, or add the image to the fake engine's `registry`",
                cause=Cause.IMAGE_PULL_FAILED,
                reference=reference,
            )
        progress(f"pulling {reference}", found.size, found.size)
        self._add(found, {})
        return found

    def builder(self) -> str:
        return "fake"

    def build_warnings(self, _request: BuildRequest, /) -> tuple[str, ...]:
        return self.warnings_of_builds

    def builder_info(self) -> BuilderInfo:
        return BuilderInfo("fake")

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, _warn: Warn = no_warning
    ) -> EngineImage:
        """Create an image whose id depends on the request and the context; nothing is executed."""
        folder = request.folder
        if not request.dockerfile_path.is_file():
            raise ImageError(
                f"no {request.dockerfile} in {folder}", remedy="add one", cause=Cause.IMAGE_BUILD_FAILED
            )
        self.builds.append(request)
        progress("building", 1, 1)
        options = [
            request.dockerfile,
            request.target,
            request.platform,
            *map(sorted, (request.build_args.items(), request.contexts.items())),
        ]
        digest = hashlib.sha256(json.dumps(options).encode() + request.dockerfile_path.read_bytes())
        for file in BuildContext(folder, request.dockerfile).files():
            opened = open_file(folder / file.path) if stat.S_ISREG(file.status.st_mode) else None
            if opened is not None:
                with opened:
                    digest.update(os.fsencode(f"{file.path}\n") + opened.read())
        target = parse_platform(request.platform) if request.platform else Platform("linux", "amd64")
        name, machine = f"sha256:{digest.hexdigest()}", target.architecture
        image = EngineImage(name, target.os, machine, 1, variant=target.variant)
        self._add(image, dict(request.labels))
        self.tag_image(image.id, request.name)
        return self.require_image(image.id)

    def tag_image(self, image: str, name: str) -> None:
        found, tag = self.require_image(image), _with_tag(name)
        with self._image_lock:
            for other in list(self._images.values()):
                kept = tuple(each for each in other.tags if each != tag)
                more = (tag,) if other.id == found.id else ()
                self._images[other.id] = replace(other, tags=kept + more)

    def remove_image(self, name: str) -> None:
        found = self.find_image(name)
        if found is None:
            return
        kept = tuple(tag for tag in found.tags if tag != _with_tag(name))
        with self._image_lock:
            if kept and found.id != name:
                self._images[found.id] = replace(found, tags=kept)
            else:
                del self._images[found.id]
                self._archives.pop(found.id, None)

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        with self._image_lock:
            images = list(self._images.values())
        return [image for image in images if has_labels(self._labels.get(image.id, {}), labels)]

    def _add(self, image: EngineImage, labels: Mapping[str, str]) -> None:
        with self._image_lock:
            known = self._images.get(image.id)
            tags = known.tags if known else ()
            self._images[image.id] = replace(image, tags=tags)
            self._labels[image.id] = dict(labels)
        for tag in image.tags:
            self.tag_image(image.id, tag)

    def require_image(self, reference: str) -> EngineImage:
        """Return an image by id, name or digest. Raises `ImageError` with cause IMAGE_MISSING."""
        found = self.find_image(reference)
        if found is None:
            raise ImageError(
                f"the engine has no image {reference}",
                remedy="load it, or create it with `add_image`",
                cause=Cause.IMAGE_MISSING,
                reference=reference,
            )
        return found


def has_labels(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether `found` has all labels of `wanted` (value "": any value)."""
    return all(name in found and value in ("", found[name]) for name, value in wanted.items())


def _with_tag(reference: str) -> str:
    """Return a name with its tag, `latest` by default."""
    plain = ":" in reference.rpartition("/")[2] or "@" in reference
    return reference if plain else f"{reference}:latest"


def _read_archive(data: bytes) -> tuple[EngineImage, dict[str, str]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            entry = json.loads(_member(archive, "manifest.json"))[0]
            text = _member(archive, entry["Config"])
        described = json.loads(text)
    except (tarfile.TarError, ValueError, LookupError, TypeError) as error:
        raise ImageError(
            f"cannot load the image: {error}", remedy="save it again: `docker save -o image.tar NAME`"
        ) from error
    config = described.get("config") or {}
    system, machine, variant = (described.get(key, "") for key in ("os", "architecture", "variant"))
    layers = (described.get("rootfs") or {}).get("diff_ids") or ()
    image = EngineImage(
        id=f"sha256:{hashlib.sha256(text).hexdigest()}",
        os=system or "linux",
        architecture=machine,
        variant=variant,
        content=image_content(platform_of(system, machine, variant), config, layers),
        size=len(data),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=config.get("User") or "",
        tags=tuple(entry.get("RepoTags") or ()),
        workdir=config.get("WorkingDir") or "",
        environment=tuple(config.get("Env") or ()),
    )
    return image, dict(config.get("Labels") or {})


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    opened = archive.extractfile(name)
    if opened is None:
        raise KeyError(f"{name} is not a file")
    return opened.read()


def _make_archive(image: EngineImage) -> bytes:
    """Return an archive with an empty layer. When loaded, its image has another id."""
    layer = bytes(2 * tarfile.BLOCKSIZE)
    config = {
        "os": image.os,
        "architecture": image.architecture,
        "config": {"Entrypoint": list(image.entrypoint), "Cmd": list(image.command), "User": image.user},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": None, "Layers": ["layer.tar"]}]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        members = {name: text, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()
