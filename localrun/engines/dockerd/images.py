"""The images an engine has: found, loaded, named, removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from localrun.engines.base import EngineImage
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import (
    Api,
    iter_json,
    label_filter,
    parse_json,
    parse_message,
    quote_segment,
    read_message,
)
from localrun.errors import Cause, ImageError, LocalrunError

_REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9_.:/@-]*")
_LOADED = re.compile(r"Loaded image(?: ID)?: (?P<name>\S+)")
_TAR = {"Content-Type": "application/x-tar"}
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
}


def architecture_name(kernel: str) -> str:
    """The word of OCI images for an architecture, which the kernel may call otherwise."""
    return _ARCHITECTURES.get(kernel, kernel)


class Images:
    """The engine's images. `config` is docker's own folder, for credentials."""

    def __init__(self, api: Api, config: Path) -> None:
        self.api = api
        self.config = config

    def find(self, reference: str) -> EngineImage | None:
        """Look up by id, name or digest. Raises `ImageError` when it cannot be a name at all."""
        answer = self.api.send("GET", f"/images/{quote_segment(check_reference(reference))}/json")
        text = b"".join(answer.chunks())
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise failures.api_error(answer.status, parse_message(text), f"looking for the image {reference}")
        return _image(parse_json(text))

    def require(self, reference: str) -> EngineImage:
        """Look up what must be there. Raises `ImageError` with cause IMAGE_MISSING."""
        found = self.find(reference)
        if found is None:
            raise ImageError(
                f"the engine has no image {reference}",
                remedy="load, build or pull it again",
                cause=Cause.IMAGE_MISSING,
                reference=reference,
            )
        return found

    def load(self, archive: Iterable[bytes]) -> str:
        """Load a docker-save archive; the id of its one image."""
        doing = "loading the image"
        # an iterator, also of a list, is sent in chunks and not as one body
        answer = self.api.open(
            "POST", "/images/load", {"quiet": 1}, body=iter(archive), headers=_TAR, doing=doing
        )
        names: list[str] = []
        for message in iter_json(answer):
            if "errorDetail" in message or "error" in message:
                answer.close()
                raise _load_failure(error_message(message))
            names += _LOADED.findall(str(message.get("stream", "")))
        return self._only(names)

    def save(self, image: str) -> Iterator[bytes]:
        """A docker-save archive of one image."""
        # older engines answer 500 for an image that is not there
        found = self.require(image)
        answer = self.api.open(
            "GET", f"/images/{quote_segment(found.id)}/get", doing=f"saving the image {image}"
        )
        try:
            yield from answer.chunks()
        finally:
            answer.close()

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        repository, tag, _ = split_reference(name)
        query = {"repo": repository, "tag": tag or "latest"}
        path, doing = f"/images/{quote_segment(image)}/tag", f"naming the image {name}"
        self.api.bytes("POST", path, query, doing=doing)

    def remove(self, name: str) -> None:
        """Take a name away, and the image when that was its last one; no error when it is gone."""
        path = f"/images/{quote_segment(check_reference(name))}"
        answer = self.api.send("DELETE", path)
        words = read_message(answer)
        if answer.status >= 400 and answer.status != 404:
            raise failures.api_error(answer.status, words, f"removing the image {name}")

    def remove_untagged(self, image: str) -> None:
        """Remove an image that has no name, alone; keep it when it has one or is in use."""
        found = self.find(image)
        if found is None or found.tags:
            return
        # 409: a container or another image needs it, so it is not ours to take away
        answer = self.api.send("DELETE", f"/images/{quote_segment(found.id)}", {"noprune": 1})
        words = read_message(answer)
        if answer.status >= 400 and answer.status not in {404, 409}:
            raise failures.api_error(answer.status, words, f"removing the image {image}")

    def with_labels(self, labels: Mapping[str, str]) -> list[EngineImage]:
        """Every image that carries all of these labels."""
        listed = self.api.json("GET", "/images/json", label_filter(labels), doing="listing images")
        found = (self.find(item["Id"]) for item in listed)
        return [image for image in found if image is not None]

    def _only(self, names: list[str]) -> str:
        ids = {self.require(name).id for name in names}
        if len(ids) == 1:
            return ids.pop()
        what = "no image" if not ids else f"{len(ids)} images: {', '.join(names)}"
        raise ImageError(
            f"the archive holds {what}", remedy="save exactly one image: `docker save -o image.tar NAME`"
        )


def check_reference(reference: str) -> str:
    """Return it, when it can be the name of an image; raises `ImageError`."""
    if not _REFERENCE.fullmatch(reference) or ".." in reference:
        raise ImageError(
            f"{reference!r} cannot be the name of an image",
            remedy="write it as name:tag, in lower case, such as registry.example.org/lab/count:1.0",
            cause=Cause.IMAGE_MISSING,
            reference=reference,
        )
    return reference


def split_reference(reference: str) -> tuple[str, str, str]:
    """`registry:5000/name:tag@digest` as repository, tag and digest; what is not there is empty."""
    name, _, digest = check_reference(reference).partition("@")
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return repository, tag, digest


def error_message(message: Mapping[str, Any]) -> str:
    """The engine's words in a message that tells of an error."""
    detail = message.get("errorDetail")
    return str((detail or {}).get("message") or message.get("error") or "no reason given").strip()


def _load_failure(words: str) -> LocalrunError:
    if failures.is_disk_full(words):
        return failures.disk_full_error(words, "loading the image")
    return ImageError(
        f"the engine cannot load the image: {words}",
        remedy="save it again: `docker save -o image.tar NAME`",
        engine_said=words,
    )


def _image(found: Mapping[str, Any]) -> EngineImage:
    config = found.get("Config") or {}
    return EngineImage(
        id=str(found["Id"]),
        os=str(found.get("Os") or ""),
        architecture=str(found.get("Architecture") or ""),
        size=int(found.get("Size") or 0),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        user=str(config.get("User") or ""),
        tags=tuple(found.get("RepoTags") or ()),
        workdir=str(config.get("WorkingDir") or ""),
        environment=tuple(config.get("Env") or ()),
    )
