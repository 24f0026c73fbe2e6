"""Building a folder with a Dockerfile, by the engine's own builder."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from localrun.engines.base import DEFAULT_IGNORES, EngineImage, Progress
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import iter_json, read_message
from localrun.engines.dockerd.images import Images, error_message
from localrun.errors import Cause, EngineError, ImageError, LocalrunError

CHUNK = 1024 * 1024
LAST_LINES = 10
_STEP = re.compile(r"Step (?P<done>\d+)/(?P<total>\d+) : (?P<what>.*)")
_RUNNING = re.compile(r" ---> Running in (?P<id>[0-9a-f]{12,64})")
_MADE = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})")
_ONLY_BUILDKIT = re.compile(
    r"requires buildkit|unknown flag: (?:mount|link|security|network|parents|exclude|checksum|keep-git-dir)"
    r"|unknown instruction: .*(?:<<|EOF)",
    re.IGNORECASE,
)
_NO_BASE = re.compile(
    r"pull access denied|manifest for|manifest unknown|repository does not exist|dial tcp|no such host"
    r"|no such image|lookup ",
    re.IGNORECASE,
)


class Build:
    """One build of a folder: what it says, what it makes, and what it leaves when it fails."""

    def __init__(self, images: Images, folder: Path, dockerfile: str, progress: Progress) -> None:
        self._images = images
        self._folder = folder
        self._dockerfile = dockerfile
        self._progress = progress
        self._step = ""
        self._cached = False
        self._made: list[str] = []
        self._container = ""
        self._lines: deque[str] = deque(maxlen=LAST_LINES)

    def run(self, query: Mapping[str, Any]) -> EngineImage:
        """Build, and look the result up by its name `t`."""
        name = str(query["t"])
        before = self._images.find(name)
        try:
            self._build({key: json.dumps(value) if key != "t" else value for key, value in query.items()})
            made = self._images.require(name)
        except BaseException:
            self._clean_up()
            raise
        if before is not None and before.id != made.id:
            self._images.remove_untagged(before.id)
        return made

    def _build(self, query: Mapping[str, Any]) -> None:
        options = {**query, "dockerfile": self._dockerfile, "rm": 1, "forcerm": 1}
        headers = {"Content-Type": "application/x-tar", **self._credentials()}
        with self._context() as chunks:
            answer = self._images.api.send("POST", "/build", options, body=chunks, headers=headers)
        if answer.status >= 400:
            raise self._failure(read_message(answer))
        try:
            for message in iter_json(answer):
                self._take(message)
        finally:
            answer.close()

    def _take(self, message: Mapping[str, Any]) -> None:
        if "error" in message or "errorDetail" in message:
            raise self._failure(error_message(message))
        for line in str(message.get("stream", "")).splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        step = _STEP.fullmatch(line)
        if step:
            self._step, self._cached = step["what"].strip(), False
            self._progress(line, int(step["done"]), int(step["total"]))
            return
        running = _RUNNING.fullmatch(line)
        if running:
            self._container = running["id"]
        made = _MADE.fullmatch(line)
        if made and not self._cached and not self._step.upper().startswith("FROM "):
            self._made.append(made["id"])
        self._cached = self._cached or line.strip() == "---> Using cache"
        if line.strip():
            self._lines.append(line)

    def _clean_up(self) -> None:
        """Remove what the steps before the failed one made, the last one first."""
        # a build that was broken off still has its container for a moment, and that its image
        with contextlib.suppress(EngineError):
            self._remove_container()
        for image in reversed(self._made):
            # what went wrong before is what has to be told
            with contextlib.suppress(EngineError, ImageError):
                self._images.remove_untagged(image)

    def _remove_container(self) -> None:
        if not self._container:
            return
        path = f"/containers/{self._container}"
        answer = self._images.api.send("DELETE", path, {"force": 1, "v": 1})
        read_message(answer)
        if answer.status == 409:  # the engine is at it
            read_message(self._images.api.send("POST", f"{path}/wait", {"condition": "removed"}))

    def _credentials(self) -> dict[str, str]:
        if not (self._images.config / "config.json").exists():
            return {}
        from localrun.engines.dockerd.credentials import all_credentials

        header = all_credentials(self._images.config)
        return {"X-Registry-Config": header} if header else {}

    @contextlib.contextmanager
    def _context(self) -> Iterator[Iterator[bytes]]:
        from docker.utils.build import tar

        if not (self._folder / self._dockerfile).is_file():
            raise self._no_context(f"there is no {self._dockerfile}")
        with tempfile.TemporaryFile() as packed:
            try:
                tar(self._folder, self._ignored(), (self._dockerfile, None), packed)
            except OSError as error:
                raise self._no_context(str(error)) from error
            yield _pieces(packed)

    def _no_context(self, why: str) -> ImageError:
        return ImageError(
            f"{self._folder} cannot be built: {why}",
            remedy="add or correct the file, or name an image with --image",
            cause=Cause.IMAGE_BUILD_FAILED,
            folder=str(self._folder),
        )

    def _ignored(self) -> list[str]:
        path = self._folder / ".dockerignore"
        text = path.read_text("utf-8-sig", "replace") if path.is_file() else ""
        lines = (line.strip() for line in text.splitlines())
        return [*DEFAULT_IGNORES, *(line for line in lines if line and not line.startswith("#"))]

    def _failure(self, words: str) -> LocalrunError:
        if failures.is_disk_full(words):
            return failures.disk_full_error(words, "building the image")
        place = f"`{self._step}`" if self._step else self._dockerfile
        shown = "".join(f"\n    {line}" for line in self._lines if not _MADE.fullmatch(line))
        return ImageError(
            f"the build failed at {place}: {words}{shown}",
            remedy=self._remedy(words),
            cause=Cause.IMAGE_BUILD_FAILED,
            instruction=self._step,
            engine_said=words,
        )

    def _remedy(self, words: str) -> str:
        if _ONLY_BUILDKIT.search(words):
            return (
                "the Dockerfile needs BuildKit: build it with `docker buildx build -t NAME --load .` and"
                " run it with `--image NAME`, or write it without --mount, --link and here-documents"
            )
        if (not self._step or self._step.upper().startswith("FROM ")) and _NO_BASE.search(words):
            return (
                "the base image is not there and cannot be pulled: go online, or take one that the engine"
                " has (`--build-arg BASE=NAME`, if the Dockerfile says `ARG BASE`), or bring it with"
                " `docker load -i FILE` or `docker import FILE NAME`"
            )
        return f"correct {self._dockerfile} in {self._folder}"


def _pieces(packed: IO[bytes]) -> Iterator[bytes]:
    while piece := packed.read(CHUNK):
        yield piece
