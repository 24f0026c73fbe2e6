"""Image builds with the engine's classic builder."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from localrun.engines.base import BuildRequest, EngineImage, Progress
from localrun.engines.context.files import BuildContext
from localrun.engines.context.packing import pack_context
from localrun.engines.dockerd.api import iter_json, read_message
from localrun.engines.dockerd.builders.clients import BuildClient
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile
from localrun.engines.dockerd.builders.failed_build import BuilderFailure, build_error
from localrun.engines.dockerd.images import DockerImages, error_message
from localrun.errors import EngineError, ImageError, LocalrunError

LAST_LINES = 10
SENDING = "sending the context"
PATIENCE, POLL_INTERVAL = 5.0, 0.1  # seconds for the engine to remove a container
# the classic builder's, or Podman's
_STEP = re.compile(r"(?:\[\d+/\d+\] )?(?:Step|STEP) (?P<done>\d{1,6})/(?P<total>\d{1,6}) ?: (?P<what>.*)")
_RUNNING = re.compile(r" ---> Running in (?P<id>[0-9a-f]{12,64})")
_NOISE = re.compile(
    r" ?--+> (?:Using cache.*|(?:Running in )?[0-9a-f]{11,64})|Removing intermediate container [0-9a-f]+"
)
# Podman repeats the instruction, and a structure of its parser
_BUILDAH = re.compile(r'building at STEP ".*?": (?:while running runtime: )?(?P<why>.*)', re.DOTALL)
_EXIT_STATUS = re.compile(r"exit status (?P<code>\d+)")
_UNKNOWN = re.compile(r'(?:Build error: )?Unknown instruction: "(?P<name>\w+)".*', re.DOTALL)
_COLOUR = re.compile(r"\x1b\[\d*m")
_CREATED = re.compile(r" ?--+> (?P<id>[0-9a-f]{11,64})")
_CACHED = re.compile(r" ?--+> Using cache.*")


class Build:
    """One build of a folder: its progress, its image, and the cleanup after a failure.

    `proxies` are build arguments that those of the request override; `credentials` are headers.
    """

    def __init__(
        self,
        images: DockerImages,
        request: BuildRequest,
        progress: Progress,
        *,
        prepared: PreparedDockerfile,
        client: BuildClient,
        docker: str,
        proxies: Mapping[str, str] | None = None,
        credentials: Mapping[str, str] | None = None,
    ) -> None:
        self._images = images
        self._prepared = prepared
        self._client = client
        self._docker = docker
        self._proxies = proxies or {}
        self._credentials = credentials or {}
        self._request = request
        self._progress = progress
        self._step = ""
        self._cached = False
        self._created: list[str] = []
        self._container = ""
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._unfinished = ""

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
        context = pack_context(BuildContext(request.folder, request.dockerfile), self._prepared.replacement)
        options = {
            "t": request.name,
            "labels": json.dumps(dict(request.labels)),
            "buildargs": json.dumps({**self._proxies, **request.build_args}),
            "dockerfile": context.dockerfile,
            "rm": 1,
            "forcerm": 1,
        }
        if request.target:
            options["target"] = request.target
        if request.platform:
            options["platform"] = request.platform
        headers = {"Content-Type": "application/x-tar", **self._credentials}
        body = self._sent(context.chunks)
        response = self._images.api.send("POST", "/build", options, body=body, headers=headers)
        if response.status >= 400:
            raise self._failure(read_message(response))
        with contextlib.closing(response):
            for message in iter_json(response, "build the image"):
                self.handle(message)

    def _sent(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        sent = 0
        for chunk in chunks:
            yield chunk
            sent += len(chunk)
            self._progress(SENDING, sent, None)

    def handle(self, message: Mapping[str, Any]) -> None:
        """Follow one message of the engine. Raises the error that it reports."""
        if "error" in message or "errorDetail" in message:
            raise self._failure(error_message(message))
        # a message may be a part of a line; those of standard error are in red
        text = self._unfinished + _COLOUR.sub("", str(message.get("stream", "")))
        *lines, self._unfinished = text.split("\n")
        for line in lines:
            self._parse_line(line.rstrip("\r"))

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
        self._cached = self._cached or _CACHED.fullmatch(line) is not None
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
                self._remove_image(image)

    def _remove_image(self, image: str) -> None:
        # the container of a step that started when the build was aborted is removed by the engine, later
        deadline = time.monotonic() + PATIENCE
        while not self._images.remove_untagged(image) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL)

    def _remove_container(self) -> None:
        if not self._container:
            return
        path = f"/containers/{self._container}"
        response = self._images.api.send("DELETE", path, {"force": 1, "v": 1})
        read_message(response)
        if response.status == 409:  # the engine is already removing it
            read_message(self._images.api.send("POST", f"{path}/wait", {"condition": "removed"}))

    def _failure(self, reason: str) -> LocalrunError:
        self._parse_line(self._unfinished)
        lines = tuple(line for line in self._lines if not _NOISE.fullmatch(line))
        failure = BuilderFailure(_plain(reason), self._step, lines, self._client, self._docker)
        return build_error(self._request, self._prepared, failure)


def _plain(reason: str) -> str:
    """Return the reason of a failed build in Docker's words."""
    found = _BUILDAH.fullmatch(reason)
    if found is None:
        return reason
    why = _UNKNOWN.sub(r"unknown instruction: \g<name>", found["why"])
    return _EXIT_STATUS.sub(r"the command returned a non-zero code: \g<code>", why)
