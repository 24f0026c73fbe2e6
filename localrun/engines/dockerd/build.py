"""Image builds with the engine's classic builder."""

from __future__ import annotations

import contextlib
import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from localrun.engines.base import BuildRequest, EngineImage, Progress
from localrun.engines.context.files import BuildContext
from localrun.engines.context.packing import pack_context
from localrun.engines.dockerd import failures
from localrun.engines.dockerd.api import iter_json, read_message
from localrun.engines.dockerd.images import DockerImages, error_message
from localrun.engines.log_remedies import build_remedy
from localrun.errors import Cause, EngineError, ImageError, LocalrunError

LAST_LINES = 10
_STEP = re.compile(r"Step (?P<done>\d+)/(?P<total>\d+) : (?P<what>.*)")
_RUNNING = re.compile(r" ---> Running in (?P<id>[0-9a-f]{12,64})")
_CREATED = re.compile(r" ---> (?P<id>[0-9a-f]{12,64})")
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
    """One build of a folder: its progress, its image, and the cleanup after a failure."""

    def __init__(self, images: DockerImages, request: BuildRequest, progress: Progress) -> None:
        self._images = images
        self._request = request
        self._progress = progress
        self._step = ""
        self._cached = False
        self._created: list[str] = []
        self._container = ""
        self._lines: deque[str] = deque(maxlen=LAST_LINES)

    def run(self) -> EngineImage:
        """Build, and return the image."""
        name = self._request.name
        before = self._images.find_image(name)
        try:
            self._build()
            made = self._images.require_image(name)
        except BaseException:
            self._clean_up()
            raise
        if before is not None and before.id != made.id:
            self._images.remove_untagged(before.id)
        return made

    def _build(self) -> None:
        request = self._request
        context = pack_context(BuildContext(request.folder, request.dockerfile))
        options = {
            "t": request.name,
            "labels": json.dumps(dict(request.labels)),
            "buildargs": json.dumps(dict(request.build_args)),
            "dockerfile": context.dockerfile,
            "rm": 1,
            "forcerm": 1,
        }
        if request.target:
            options["target"] = request.target
        headers = {"Content-Type": "application/x-tar", **self._credentials()}
        response = self._images.api.send("POST", "/build", options, body=context.chunks, headers=headers)
        if response.status >= 400:
            raise self._failure(read_message(response))
        with contextlib.closing(response):
            for message in iter_json(response):
                self._handle(message)

    def _handle(self, message: Mapping[str, Any]) -> None:
        if "error" in message or "errorDetail" in message:
            raise self._failure(error_message(message))
        for line in str(message.get("stream", "")).splitlines():
            self._parse_line(line)

    def _parse_line(self, line: str) -> None:
        step = _STEP.fullmatch(line)
        if step:
            self._step, self._cached = step["what"].strip(), False
            self._progress(line, int(step["done"]), int(step["total"]))
            return
        running = _RUNNING.fullmatch(line)
        if running:
            self._container = running["id"]
        made = _CREATED.fullmatch(line)
        if made and not self._cached and not self._step.upper().startswith("FROM "):
            self._created.append(made["id"])
        self._cached = self._cached or line.strip() == "---> Using cache"
        if line.strip():
            self._lines.append(line)

    def _clean_up(self) -> None:
        """Remove the images of the steps before the failed one, the last one first."""
        # an aborted build keeps its container, and thereby its image, for a moment
        with contextlib.suppress(EngineError):
            self._remove_container()
        for image in reversed(self._created):
            # the error of the build is the one to report
            with contextlib.suppress(EngineError, ImageError):
                self._images.remove_untagged(image)

    def _remove_container(self) -> None:
        if not self._container:
            return
        path = f"/containers/{self._container}"
        response = self._images.api.send("DELETE", path, {"force": 1, "v": 1})
        read_message(response)
        if response.status == 409:  # the engine is already removing it
            read_message(self._images.api.send("POST", f"{path}/wait", {"condition": "removed"}))

    def _credentials(self) -> dict[str, str]:
        if not (self._images.config / "config.json").exists():
            return {}
        from localrun.engines.dockerd.credentials import all_credentials

        header = all_credentials(self._images.config)
        return {"X-Registry-Config": header} if header else {}

    def _failure(self, reason: str) -> LocalrunError:
        full = failures.disk_full_error(reason, "build the image")
        if full is not None:
            return full
        location = f"`{self._step}`" if self._step else self._request.dockerfile
        log = "".join(f"\n    {line}" for line in self._lines if not _CREATED.fullmatch(line))
        return ImageError(
            f"the build failed at {location}: {reason}{log}",
            remedy=self._remedy(reason),
            cause=Cause.IMAGE_BUILD_FAILED,
            instruction=self._step,
            engine_said=reason,
        )

    def _remedy(self, reason: str) -> str:
        if _ONLY_BUILDKIT.search(reason):
            return (
                "the Dockerfile needs BuildKit: build it with `docker buildx build -t NAME --load .` and"
                " run it with `--image NAME`, or remove --mount, --link and here-documents from it"
            )
        if (not self._step or self._step.upper().startswith("FROM ")) and _NO_BASE.search(reason):
            return (
                "the base image is missing and cannot be pulled: go online, use a local image"
                " (`--build-arg BASE=NAME` if the Dockerfile has `ARG BASE`), or import it with"
                " `docker load -i FILE` or `docker import FILE NAME`"
            )
        found = build_remedy(self._step, "\n".join([*self._lines, reason]))
        return found or f"correct {self._request.dockerfile} in {self._request.folder}"
