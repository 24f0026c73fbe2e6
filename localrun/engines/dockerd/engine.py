"""The dozen verbs, in the words of Docker's API."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from localrun.engines.base import (
    ContainerSpec,
    ContainerSummary,
    EngineImage,
    EngineInfo,
    Exit,
    Handle,
    Progress,
    StreamName,
    Usage,
    no_progress,
)
from localrun.engines.dockerd import address, failures
from localrun.engines.dockerd.api import Api, iter_json, label_filter, read_message
from localrun.engines.dockerd.create_payload import create_body, helper_body, writable_folders_tar
from localrun.engines.dockerd.images import Images, architecture_name
from localrun.engines.dockerd.logs import follow_log
from localrun.engines.dockerd.stats import parse_usage
from localrun.engines.dockerd.transport import Response, Transport
from localrun.errors import ContainerGone

CONFIG = Path("~/.docker")


class DockerEngine:
    """A Docker engine, or another one that speaks its API (20.10 and newer).

    `host` is an address (`unix://`, `tcp://`, `ssh://`); None means the current docker context, else the
    usual socket. `certificates` is a folder with ca.pem, cert.pem and key.pem for an engine behind TLS,
    `config` docker's own folder: contexts and credentials. Nothing is connected before the first call.
    """

    def __init__(
        self, host: str | None = None, *, certificates: Path | None = None, config: Path = CONFIG
    ) -> None:
        self._config = config.expanduser()
        self.address = address.resolve(host, certificates=certificates, config=self._config)
        self._api = Api(Transport(self.address))
        self._images = Images(self._api, self._config)
        self._info: EngineInfo | None = None

    def info(self) -> EngineInfo:
        """Say what the engine is; asked once and remembered."""
        if self._info is None:
            found = self._api.json("GET", "/info", doing="asking what the engine is")
            self._info = _engine_info(found, self.address.url, self._api.version())
        return self._info

    # -- images ------------------------------------------------------------------------------------

    def find_image(self, reference: str) -> EngineImage | None:
        """Look up an image by id, name or digest; None when the engine has it not."""
        return self._images.find(reference)

    def load_image(self, archive: Iterable[bytes]) -> str:
        """Load a docker-save archive from a stream of chunks; the id of its one image."""
        return self._images.load(archive)

    def save_image(self, image: str) -> Iterator[bytes]:
        """The image as a docker-save archive, in a stream of chunks."""
        return self._images.save(image)

    def pull_image(self, reference: str, progress: Progress = no_progress) -> EngineImage:
        """Fetch an image from its registry. Raises `ImageError` with cause IMAGE_PULL_FAILED."""
        from localrun.engines.dockerd.pull import pull

        return pull(self._images, reference, progress)

    def build_image(
        self,
        folder: Path,
        *,
        dockerfile: str = "Dockerfile",
        name: str,
        labels: Mapping[str, str],
        build_args: Mapping[str, str],
        progress: Progress = no_progress,
    ) -> EngineImage:
        """Build a folder and call the result `name`. Raises `ImageError` with IMAGE_BUILD_FAILED."""
        from localrun.engines.dockerd.build import Build

        query = {"t": name, "labels": dict(labels), "buildargs": dict(build_args)}
        return Build(self._images, folder, dockerfile, progress).run(query)

    def tag_image(self, image: str, name: str) -> None:
        """Give an image another name."""
        self._images.tag(image, name)

    def remove_image(self, name: str) -> None:
        """Take a name away, and the image when that was its last one; no error when it is gone."""
        self._images.remove(name)

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        """Every image that carries all of these labels (value "": any value)."""
        return self._images.with_labels(labels)

    # -- containers --------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> Handle:
        """Make a container, not started. Raises `MountUnavailable`, `ImageError`, `EngineError`."""
        doing = f"creating the container {spec.name}"
        made = self._api.post("/containers/create", create_body(spec), {"name": spec.name}, doing=doing)
        handle = str(made["Id"])
        try:
            if spec.folders:
                self._open_folders(spec, handle)
        except BaseException:
            self.remove(handle)
            raise
        return handle

    def start(self, handle: Handle) -> None:
        """Start it. Raises `EngineError` with cause ENTRYPOINT_INVALID when its program is not there."""
        # 304, that it runs already, is no refusal
        self._api.bytes("POST", _at(handle, "start"), doing="starting the container")

    def wait(self, handle: Handle) -> Exit:
        """Block until it has ended."""
        while True:  # each round blocks until the container has moved on
            query, doing = {"condition": "not-running"}, "waiting for the container"
            self._api.bytes("POST", _at(handle, "wait"), query, doing=doing)
            state = self._state(handle)
            if _is_new(state):
                self._wait_for_start(handle)
            elif not state["Running"]:
                return _exit(state)

    def logs(self, handle: Handle) -> Iterator[tuple[StreamName, bytes]]:
        """What it wrote and writes, from its start to its end."""
        return follow_log(self._api, _at(handle, "logs"))

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """What it uses, about every second until it has ended."""
        # One question that is answered again and again: the engine takes a second for each answer anyway.
        doing = "measuring the container"
        answer = self._api.open("GET", _at(handle, "stats"), {"stream": "true"}, doing=doing)
        try:
            for stats in iter_json(answer):
                usage = parse_usage(stats)
                if usage is None:  # it has ended: what comes now is empty
                    return
                yield usage
        finally:
            answer.close()

    def size(self, handle: Handle) -> int:
        """Bytes that it has written to its own root."""
        found = self._api.json("GET", _at(handle, "json"), {"size": "1"}, doing="measuring the container")
        return int(found.get("SizeRw") or 0)

    def stop(self, handle: Handle, grace: float) -> None:
        """Ask it to end (SIGTERM), and end it (SIGKILL) after `grace` seconds, rounded up."""
        if grace > 0:
            answer = self._api.send("POST", _at(handle, "stop"), {"t": math.ceil(grace)})
        else:
            answer = self._api.send("POST", _at(handle, "kill"))
        # 304 and 409: it does not run; 404: it is gone
        _accept(answer, {404, 409}, "stopping the container")

    def remove(self, handle: Handle) -> None:
        """Remove it and its anonymous volumes, running or not."""
        answer = self._api.send("DELETE", _at(handle), {"force": 1, "v": 1})
        # 409: somebody else is removing it just now
        _accept(answer, {404, 409}, "removing the container")

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """Every container that carries all of these labels (value "": any value)."""
        query = {"all": 1, **label_filter(labels)}
        listed = self._api.json("GET", "/containers/json", query, doing="listing containers")
        return [_found(item) for item in listed]

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar below the folder `target` of a container, as the engine's root, owners kept."""
        headers = {"Content-Type": "application/x-tar"}
        doing = f"copying files to {target} of the container"
        path, query = _at(handle, "archive"), {"path": target}
        answer = self._api.open("PUT", path, query, body=iter(tar), headers=headers, doing=doing)
        read_message(answer)

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        """Pack a file or folder of a container into a tar; its first member is the last part of `source`."""
        doing = f"copying {source} out of the container"
        answer = self._api.open("GET", _at(handle, "archive"), {"path": source}, doing=doing)
        try:
            yield from answer.chunks()
        finally:
            answer.close()

    def abandon(self, thread: int) -> None:
        """Break off the call that a thread waits in."""
        self._api.transport.abandon(thread)

    def close(self) -> None:
        """Let go of every connection."""
        self._api.transport.close()

    # -- helpers -----------------------------------------------------------------------------------

    def _open_folders(self, spec: ContainerSpec, handle: Handle) -> None:
        """Make its folders writable by any user, whoever its image runs as."""
        tar = [writable_folders_tar(spec.folders)]
        if not spec.hardened:
            self.copy_in(handle, "/", tar)
            return
        doing = f"preparing the folders of {spec.name}"
        helper = str(self._api.post("/containers/create", helper_body(spec, handle), doing=doing)["Id"])
        try:
            self.copy_in(helper, "/", tar)
        finally:
            # not its volumes: they are those of the container that it helps
            _accept(self._api.send("DELETE", _at(helper), {"force": 1}), {404, 409}, doing)

    def _wait_for_start(self, handle: Handle) -> None:
        """Wait for the end of a container that has not been started yet."""
        query, doing = {"condition": "next-exit"}, "waiting for the container"
        answer = self._api.open("POST", _at(handle, "wait"), query, doing=doing)
        try:
            # The engine listens from here on; had it been started before, an end may have been missed.
            if _is_new(self._state(handle)):
                read_message(answer)
        finally:
            answer.close()

    def _state(self, handle: Handle) -> dict[str, Any]:
        doing = "looking at the container"
        found: dict[str, Any] = self._api.json("GET", _at(handle, "json"), doing=doing)["State"]
        return found


def _at(handle: Handle, verb: str = "") -> str:
    if not handle.isalnum():
        raise ContainerGone(f"{handle!r} is no container's handle", handle=handle)
    return f"/containers/{handle}/{verb}" if verb else f"/containers/{handle}"


def _accept(answer: Response, also: set[int], doing: str) -> None:
    words = read_message(answer)
    if answer.status >= 400 and answer.status not in also:
        raise failures.api_error(answer.status, words, doing)


def _is_new(state: Mapping[str, Any]) -> bool:
    """Whether it has never been started; a start that failed leaves its reason."""
    return state["Status"] == "created" and not state["Error"]


def _exit(state: Mapping[str, Any]) -> Exit:
    started, finished = _seconds(state["StartedAt"]), _seconds(state["FinishedAt"])
    if started is not None and finished is not None:
        # The engine notes a start when it hears of it, which may be after the end of a quick program.
        started = min(started, finished)
    return Exit(
        code=int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=str(state["Error"] or ""),
        started=started,
        finished=finished,
    )


def _seconds(stamp: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time; the engine writes year 1 for "never"."""
    return None if stamp.startswith("0001-") or not stamp else datetime.fromisoformat(stamp).timestamp()


# the limits, and what the engine calls it when the kernel holds tasks to them
_HELD = {"memory": "MemoryLimit", "swap": "SwapLimit", "pids": "PidsLimit", "cpu": "CpuCfsQuota"}


def _engine_info(found: Mapping[str, Any], url: str, api: str) -> EngineInfo:
    devices = found.get("DiscoveredDevices") or []
    has_gpus = "nvidia" in (found.get("Runtimes") or {}) or any(
        "gpu" in str(device.get("ID", "")) for device in devices
    )
    return EngineInfo(
        name="docker",
        version=str(found["ServerVersion"]),
        os=str(found["OSType"]),
        architecture=architecture_name(str(found["Architecture"])),
        cpus=int(found["NCPU"]),
        memory=int(found["MemTotal"]),
        root=str(found["DockerRootDir"]),
        gpus=has_gpus,
        rootless=any("name=rootless" in option for option in found.get("SecurityOptions") or []),
        address=url,
        api=api,
        storage=str(found.get("Driver") or ""),
        cgroups=str(found.get("CgroupVersion") or ""),
        unenforced=tuple(limit for limit, name in _HELD.items() if found.get(name) is False),
        clock_offset=(_seconds(str(found.get("SystemTime") or "")) or time.time()) - time.time(),
    )


def _found(item: dict[str, Any]) -> ContainerSummary:
    state = item["State"]
    return ContainerSummary(item["Id"], item["Labels"] or {}, state == "running", started=state != "created")
