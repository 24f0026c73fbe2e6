"""The engine protocol over Docker's API."""

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
    """A Docker engine (20.10 and newer), or another one with a compatible API.

    `host` is an address (`unix://`, `tcp://`, `ssh://`); None means the current docker context, else the
    default socket. `certificates` is a folder with ca.pem, cert.pem and key.pem for TLS. `config` is docker's
    own folder with contexts and credentials. The first call opens the first connection.
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
        """Return the engine's properties, which are queried once and cached."""
        if self._info is None:
            found = self._api.json("GET", "/info", action="query the engine")
            self._info = _engine_info(found, self.address.url, self._api.version())
        return self._info

    # -- images ------------------------------------------------------------------------------------

    def find_image(self, reference: str) -> EngineImage | None:
        """Return an image by id, name or digest, or None if the engine does not have it."""
        return self._images.find(reference)

    def load_image(self, archive: Iterable[bytes]) -> str:
        """Load a `docker save` archive from a stream of chunks and return the id of its only image."""
        return self._images.load(archive)

    def save_image(self, image: str) -> Iterator[bytes]:
        """Yield the image as a `docker save` archive in chunks."""
        return self._images.save(image)

    def pull_image(self, reference: str, progress: Progress = no_progress) -> EngineImage:
        """Pull an image from its registry. Raises `ImageError` with cause IMAGE_PULL_FAILED."""
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
        """Build a folder and tag the image `name`. Raises `ImageError` with IMAGE_BUILD_FAILED."""
        from localrun.engines.dockerd.build import Build

        query = {"t": name, "labels": dict(labels), "buildargs": dict(build_args)}
        return Build(self._images, folder, dockerfile, progress).run(query)

    def tag_image(self, image: str, name: str) -> None:
        """Add a name to an image."""
        self._images.tag(image, name)

    def remove_image(self, name: str) -> None:
        """Remove a name, and the image if that was its last one; do nothing if it does not exist."""
        self._images.remove(name)

    def images(self, labels: Mapping[str, str]) -> list[EngineImage]:
        """Return all images with these labels (value "": any value)."""
        return self._images.with_labels(labels)

    # -- containers --------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> Handle:
        """Create a container without starting it. Raises `MountUnavailable`, `ImageError`, `EngineError`."""
        action = f"create the container {spec.name}"
        made = self._api.post("/containers/create", create_body(spec), {"name": spec.name}, action=action)
        handle = str(made["Id"])
        try:
            if spec.folders:
                self._make_folders_writable(spec, handle)
        except BaseException:
            self.remove(handle)
            raise
        return handle

    def start(self, handle: Handle) -> None:
        """Start it. Raises `EngineError` with cause ENTRYPOINT_INVALID if its program does not exist."""
        # 304, already running, is not an error
        self._api.bytes("POST", _path(handle, "start"), action="start the container")

    def wait(self, handle: Handle) -> Exit:
        """Block until the container has ended, and return its exit."""
        while True:  # each round blocks until the container's state changes
            query, action = {"condition": "not-running"}, "wait for the container"
            self._api.bytes("POST", _path(handle, "wait"), query, action=action)
            state = self._state(handle)
            if _is_new(state):
                self._wait_for_start(handle)
            elif not state["Running"]:
                return _exit(state)

    def logs(self, handle: Handle) -> Iterator[tuple[StreamName, bytes]]:
        """Yield the container's output from its start until it ends."""
        return follow_log(self._api, _path(handle, "logs"))

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        """Yield its resource usage about every second until it ends."""
        # one streaming request: the engine takes a second for each sample anyway
        action = "measure the container"
        response = self._api.open("GET", _path(handle, "stats"), {"stream": "true"}, action=action)
        try:
            for stats in iter_json(response):
                usage = parse_usage(stats)
                if usage is None:  # it has ended: later samples are empty
                    return
                yield usage
        finally:
            response.close()

    def size(self, handle: Handle) -> int:
        """Return the bytes written to the container's root."""
        found = self._api.json("GET", _path(handle, "json"), {"size": "1"}, action="measure the container")
        return int(found.get("SizeRw") or 0)

    def stop(self, handle: Handle, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds, rounded up."""
        if grace > 0:
            response = self._api.send("POST", _path(handle, "stop"), {"t": math.ceil(grace)})
        else:
            response = self._api.send("POST", _path(handle, "kill"))
        # 304 and 409: it is not running; 404: it does not exist
        _check(response, {404, 409}, "stop the container")

    def remove(self, handle: Handle) -> None:
        """Remove the container and its anonymous volumes, even if it is running."""
        response = self._api.send("DELETE", _path(handle), {"force": 1, "v": 1})
        # 409: it is already being removed
        _check(response, {404, 409}, "remove the container")

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        """Return all containers with these labels (value "": any value)."""
        query = {"all": 1, **label_filter(labels)}
        listed = self._api.json("GET", "/containers/json", query, action="list containers")
        return [_found(item) for item in listed]

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        """Unpack a tar into the folder `target` of a container, as the engine's root, with its owners."""
        headers = {"Content-Type": "application/x-tar"}
        action = f"copy files to {target} in the container"
        path, query = _path(handle, "archive"), {"path": target}
        response = self._api.open("PUT", path, query, body=iter(tar), headers=headers, action=action)
        read_message(response)

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        """Yield a tar of a file or folder of a container; its first member is the last part of `source`."""
        action = f"copy {source} from the container"
        response = self._api.open("GET", _path(handle, "archive"), {"path": source}, action=action)
        try:
            yield from response.chunks()
        finally:
            response.close()

    def abandon(self, thread: int) -> None:
        """Abort the call that a thread waits for."""
        self._api.transport.abandon(thread)

    def close(self) -> None:
        """Close all connections."""
        self._api.transport.close()

    # -- helpers -----------------------------------------------------------------------------------

    def _make_folders_writable(self, spec: ContainerSpec, handle: Handle) -> None:
        """Make the container's folders writable by any user, because the image may set one."""
        tar = [writable_folders_tar(spec.folders)]
        if not spec.hardened:
            self.copy_in(handle, "/", tar)
            return
        action = f"prepare the folders of {spec.name}"
        helper = str(self._api.post("/containers/create", helper_body(spec, handle), action=action)["Id"])
        try:
            self.copy_in(helper, "/", tar)
        finally:
            # keep its volumes: they belong to the task's container
            _check(self._api.send("DELETE", _path(helper), {"force": 1}), {404, 409}, action)

    def _wait_for_start(self, handle: Handle) -> None:
        """Wait for the exit of a container that has not been started yet."""
        query, action = {"condition": "next-exit"}, "wait for the container"
        response = self._api.open("POST", _path(handle, "wait"), query, action=action)
        try:
            # The engine reports exits from now on. An exit before is possible if it has been started by now.
            if _is_new(self._state(handle)):
                read_message(response)
        finally:
            response.close()

    def _state(self, handle: Handle) -> dict[str, Any]:
        action = "inspect the container"
        found: dict[str, Any] = self._api.json("GET", _path(handle, "json"), action=action)["State"]
        return found


def _path(handle: Handle, verb: str = "") -> str:
    if not handle.isalnum():
        raise ContainerGone(f"invalid container handle {handle!r}", handle=handle)
    return f"/containers/{handle}/{verb}" if verb else f"/containers/{handle}"


def _check(response: Response, allowed: set[int], action: str) -> None:
    reason = read_message(response)
    if response.status >= 400 and response.status not in allowed:
        raise failures.api_error(response.status, reason, action)


def _is_new(state: Mapping[str, Any]) -> bool:
    """Return whether it has never been started; a failed start leaves an error."""
    return state["Status"] == "created" and not state["Error"]


def _exit(state: Mapping[str, Any]) -> Exit:
    started, finished = _seconds(state["StartedAt"]), _seconds(state["FinishedAt"])
    if started is not None and finished is not None:
        # The engine may record the start of a quick program after its end.
        started = min(started, finished)
    return Exit(
        code=int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=str(state["Error"] or ""),
        started=started,
        finished=finished,
    )


def _seconds(stamp: str) -> float | None:
    """Convert an RFC 3339 time to seconds since 1970; None for year 1, the engine's "never"."""
    return None if stamp.startswith("0001-") or not stamp else datetime.fromisoformat(stamp).timestamp()


# limit -> the engine's flag that says whether the kernel enforces it
_ENFORCED = {"memory": "MemoryLimit", "swap": "SwapLimit", "pids": "PidsLimit", "cpu": "CpuCfsQuota"}


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
        unenforced=tuple(limit for limit, name in _ENFORCED.items() if found.get(name) is False),
        clock_offset=(_seconds(str(found.get("SystemTime") or "")) or time.time()) - time.time(),
    )


def _found(item: dict[str, Any]) -> ContainerSummary:
    state = item["State"]
    return ContainerSummary(item["Id"], item["Labels"] or {}, state == "running", started=state != "created")
