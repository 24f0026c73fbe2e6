"""The engine's images: find, load, save, tag and remove."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from localrun.engines.architectures import parse_platform, platform_of
from localrun.engines.base import EngineImage, Warn
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import Api, iter_json, label_filter, parse_json, quote_segment
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.engines.dockerd.names import familiar_name
from localrun.engines.image_content import image_content
from localrun.errors import Cause, EngineError, ImageError, LocalrunError

_REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9_.:/@-]*")
_ID = re.compile(r"[A-Za-z0-9]+(?::[A-Za-z0-9]+)?")
_LOADED = r"Loaded image(?: ID)?: (?P<name>\S+)"
_DAMAGED = "payload does not match any of the supported image formats"  # Podman, of a damaged archive
_ARCHIVE_LINE = r"(?m)^ \* docker-archive: (.+)$"
_TAR = {"Content-Type": "application/x-tar"}
_SELECTS_PLATFORM = (1, 49)  # the first API version that inspects one platform of an image


class DockerImages:
    """The image methods of the engine. `config` is docker's own folder with credentials."""

    def __init__(self, api: Api, config: Path) -> None:
        self.api = api
        self.config = config

    def report_new_problems(self, config: ConfigFile, warn: Warn) -> None:
        """Report the problems of docker's configuration that `EngineInfo.warnings` does not have."""
        for problem in config.problems:
            if problem not in self.api.transport.address.warnings:
                warn(problem)

    def find_image(self, reference: str, platform: str = "") -> EngineImage | None:
        """Return an image by id, name or digest, or None. Raises `ImageError` for an invalid name."""
        path = f"/images/{quote_segment(check_reference(reference))}/json"
        action = f"inspect the image {reference}"
        query = {"platform": _as_json(platform)} if platform and self._selects_platform() else None
        response = self.api.open("GET", path, query, action=action, allowed={404})
        text = b"".join(response.chunks())
        if response.status == 404:
            return None
        with failures.reading(action):
            found = _image(parse_json(text, action))
        if platform and not parse_platform(platform).accepts(found.platform):
            return None
        if not self.api.is_libpod():
            return found
        return replace(found, tags=tuple(dict.fromkeys(map(familiar_name, found.tags))))

    def _selects_platform(self) -> bool:
        return not self.api.is_libpod() and not self.api.is_older_than(_SELECTS_PLATFORM)

    def require_image(self, reference: str, platform: str = "") -> EngineImage:
        """Return an image by id, name or digest. Raises `ImageError` with cause IMAGE_MISSING."""
        found = self.find_image(reference, platform)
        if found is None:
            raise ImageError(
                f"the engine has no image {reference}",
                remedy="load, build or pull it again",
                cause=Cause.IMAGE_MISSING,
                reference=reference,
            )
        return found

    def load_image(self, archive: Iterable[bytes]) -> str:
        body, action = iter(archive), "load the image"  # iter(): even a list is sent in chunks
        try:
            response = self.api.open(
                "POST", "/images/load", {"quiet": 1}, body=body, headers=_TAR, action=action
            )
        except EngineError as error:
            reason = str(error.facts.get("engine_said", ""))
            if _DAMAGED not in reason:
                raise
            why = re.search(_ARCHIVE_LINE, reason)  # of the formats that Podman has tried
            raise _load_failure(why[1] if why else reason) from error
        names: list[str] = []
        for message in iter_json(response, action):
            if "errorDetail" in message or "error" in message:
                response.close()
                raise _load_failure(error_message(message))
            for found in re.findall(_LOADED, str(message.get("stream", ""))):
                names += filter(None, found.split(","))  # Podman joins multiple names
        return self._only(names)

    def save_image(self, image: str) -> Iterator[bytes]:
        # older engines answer 500 for a missing image
        path = f"/images/{quote_segment(self.require_image(image).id)}/get"
        yield from self.api.open("GET", path, action=f"save the image {image}").chunks()

    def tag_image(self, image: str, name: str) -> None:
        repository, tag, _ = split_reference(name)
        query = {"repo": repository, "tag": tag or "latest"}
        path, action = f"/images/{quote_segment(image)}/tag", f"tag the image as {name}"
        self.api.bytes("POST", path, query, action=action)

    def remove_image(self, name: str) -> None:
        path = f"/images/{quote_segment(check_reference(name))}"
        try:
            self.api.bytes("DELETE", path, action=f"remove the image {name}", allowed={404})
        except EngineError as error:
            if "more than one tag" not in str(error.facts.get("engine_said", "")):
                raise
            for tag in self.require_image(name).tags:  # Podman removes an id only if it has one name
                self.remove_image(tag)

    def remove_untagged(self, image: str) -> bool:
        """Remove an image without its parents; keep it if it is tagged. Return False if it is in use."""
        found = self.find_image(image)
        if found is None or found.tags:
            return True
        path, action = f"/images/{quote_segment(found.id)}", f"remove the image {image}"
        # 409: a container or another image uses it
        self.api.bytes("DELETE", path, {"noprune": 1}, action=action, allowed={404, 409})
        return self.find_image(found.id) is None

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        action = "list images"
        listed = self.api.json("GET", "/images/json", label_filter(labels), action=action)
        with failures.reading(action):
            ids = [str(item["Id"]) for item in listed]
        found = map(self.find_image, ids)
        return [image for image in found if image is not None]

    def _only(self, names: list[str]) -> str:
        ids = {self.require_image(name).id for name in names}
        if len(ids) == 1:
            return ids.pop()
        what = "no image" if not ids else f"{len(ids)} images: {', '.join(names)}"
        raise ImageError(
            f"the archive contains {what}", remedy="save exactly one image: `docker save -o image.tar NAME`"
        )


def check_reference(reference: str) -> str:
    """Return `reference` if it is a valid image name. Raises `ImageError` otherwise."""
    if not _REFERENCE.fullmatch(reference) or ".." in reference:
        raise ImageError(
            f"invalid image name {reference!r}",
            remedy="use lower case and the form name:tag, e.g. registry.example.org/lab/count:1.0",
            cause=Cause.IMAGE_MISSING,
            reference=reference,
        )
    return reference


def split_reference(reference: str) -> tuple[str, str, str]:
    """Split `registry:5000/name:tag@digest` into repository, tag and digest; missing parts are empty."""
    name, _, digest = check_reference(reference).partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return repository, tag, digest


def error_message(message: Mapping[str, Any]) -> str:
    found = message.get("errorDetail")
    detail = found if isinstance(found, dict) else {}
    return str(detail.get("message") or message.get("error") or "no reason given").strip()


def _load_failure(reason: str) -> LocalrunError:
    return failures.disk_full_error(reason, "load the image") or ImageError(
        f"cannot load the image: {reason}",
        remedy="save it again: `docker save -o image.tar NAME`",
        engine_said=reason,
    )


def _as_json(platform: str) -> str:
    parts = asdict(parse_platform(platform))
    return json.dumps({name: value for name, value in parts.items() if value})


def _image(found: Mapping[str, Any]) -> EngineImage:
    config = found.get("Config") or {}
    if not _ID.fullmatch(found["Id"]):
        raise ValueError(f"{found['Id']!r} is not the id of an image")
    system, machine, variant = (str(found.get(key) or "") for key in ("Os", "Architecture", "Variant"))
    layers = (found.get("RootFS") or {}).get("Layers") or ()
    return EngineImage(
        id=found["Id"],
        os=system,
        architecture=machine,
        variant=variant,
        size=int(found.get("Size") or 0),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=str(config.get("User") or ""),
        tags=tuple(found.get("RepoTags") or ()),
        workdir=str(config.get("WorkingDir") or ""),
        environment=tuple(config.get("Env") or ()),
        parent=str(found.get("Parent") or ""),
        content=image_content(platform_of(system, machine, variant), config, layers),
    )
