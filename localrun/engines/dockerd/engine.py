"""The engine protocol over Docker's API."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from localrun.engines.base import (
    AttachedLog,
    BuilderInfo,
    BuildRequest,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    EngineImage,
    EngineInfo,
    Exit,
    Handle,
    LogChunk,
    Progress,
    Usage,
    Warn,
    no_progress,
    no_warning,
)
from localrun.engines.dockerd import creation, failures, limits
from localrun.engines.dockerd.answers import (
    container,
    engine_info,
    exit_of,
    gpus_of,
    is_new,
    name_of,
    seconds,
)
from localrun.engines.dockerd.api import Api, iter_json, label_filter, read_message
from localrun.engines.dockerd.cgroups import ControlGroups
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.engines.dockerd.configuration.selection import select
from localrun.engines.dockerd.connections import engine_pid
from localrun.engines.dockerd.guard import Guard
from localrun.engines.dockerd.images import DockerImages
from localrun.engines.dockerd.kernel_log import MemoryKills
from localrun.engines.dockerd.logs import AttachedOutput, read_log
from localrun.engines.dockerd.session import DockerSession
from localrun.engines.dockerd.stats import parse_usage
from localrun.engines.dockerd.transport import Transport
from localrun.engines.labels import is_own_container
from localrun.errors import ContainerGone, EngineError
from localrun.settings import Settings

if TYPE_CHECKING:
    from localrun.engines.dockerd.builders.builder import Builder

CONFIG = Path("~/.docker")

# Before Docker 23, a followed log may miss lines if the container writes much. Podman 5.4 has this fault too.
_WHOLE_LOG_SINCE = (1, 42)
# How often Podman looks at a container that it waits for: by default, version 4 never pauses.
_WAIT = {"interval": "50ms"}
# Podman 5.8 may answer with nothing while it unmounts the files of a container that has just ended.
_COPY_TRIES, _COPY_DELAY = 20, 0.1  # seconds


class DockerEngine(DockerImages):
    """A Docker engine (20.10 and newer), or another one with a compatible API.

    `host` is an address (`unix://`, `tcp://`, `ssh://`); None means the engine that the docker command would
    use without variables, see `configuration.selection`. `certificates` is a folder with ca.pem, cert.pem and
    key.pem for TLS. `config` is docker's own folder with contexts and credentials. `builder` chooses between
    BuildKit and the classic builder. The first call opens the first connection.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        certificates: Path | None = None,
        config: Path = CONFIG,
        builder: Literal["auto", "buildkit", "classic"] = "auto",
    ) -> None:
        self._connect(
            Settings(
                docker_host=host,
                docker_cert_path=certificates,
                docker_tls_verify=certificates is not None,
                docker_config=config,
                builder=builder,
            )
        )

    @classmethod
    def of(cls, settings: Settings) -> DockerEngine:
        """Return the engine that the settings choose. Raises `EngineUnreachable`."""
        engine = cls.__new__(cls)
        engine._connect(settings)
        return engine

    def _connect(self, settings: Settings) -> None:
        config, builder = ConfigFile(settings.docker_config), settings.builder
        self.address = select(settings, config)
        super().__init__(Api(Transport(self.address)), config.folder)
        self._info: EngineInfo | None = None
        self._builder_choice = builder
        self._guard, self._kills = Guard(), MemoryKills()
        self._control_groups = ControlGroups(self._pid)
        self._waited_for: dict[Handle, int | None] = {}  # container -> process of the engine at that time

    def info(self) -> EngineInfo:
        if self._info is None:
            found = self.api.json("GET", "/info", action="query the engine")
            address, version = self.address, self.api.version()
            is_podman = self.api.is_libpod()
            with failures.reading("query the engine"):
                self._info = engine_info(
                    found,
                    address,
                    version,
                    has_gaps=is_podman or self.api.is_older_than(_WHOLE_LOG_SINCE),
                    is_podman=is_podman,
                    controllers=self._controllers() if is_podman and limits.is_rootless(found) else None,
                )
        return self._info

    def _controllers(self) -> list[str] | None:
        """Return the control groups that a rootless Podman may use; None if it does not say."""
        try:
            host = self.api.json("GET", "/libpod/info", action="query the engine")["host"]
            return [str(name) for name in host["cgroupControllers"]]
        except (EngineError, KeyError, TypeError):
            return None

    def proxies(self) -> Mapping[str, str]:
        from localrun.engines.dockerd.configuration.proxies import proxy_variables

        return proxy_variables(ConfigFile(self.config), self.address)

    def pull_image(
        self,
        reference: str,
        progress: Progress = no_progress,
        platform: str = "",
        warn: Warn = no_warning,
    ) -> EngineImage:
        from localrun.engines.dockerd.pull import pull

        return pull(self, reference, progress, platform, warn)

    def remove_image(self, name: str) -> None:
        if self.info().image_ids == "config":
            super().remove_image(name)
            return
        # containerd's image store leaves the images of build steps whose own parent is already gone
        steps = self._unnamed_steps(name)
        super().remove_image(name)
        for image in steps:
            if not self.remove_untagged(image):
                return

    def _unnamed_steps(self, name: str) -> list[str]:
        """Return the build steps without a name before an image with no other name, the last one first."""
        found = self.find_image(name)
        steps: list[str] = []
        if found is None or len(found.tags) > 1:
            return steps
        while found.parent and (found := self.find_image(found.parent)) and not found.tags:
            steps.append(found.id)
        return steps

    @cached_property
    def _builder(self) -> Builder:
        from localrun.engines.dockerd.builders.builder import Builder
        from localrun.engines.dockerd.builders.clients import Clients

        return Builder(self, self.address, Clients(self._builder_choice, self.config), self.info)

    def builder(self) -> str:
        return self._builder.identity()

    def builder_info(self) -> BuilderInfo:
        return self._builder.describe()

    def build_warnings(self, request: BuildRequest, /) -> tuple[str, ...]:
        return self._builder.warnings(request)

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> EngineImage:
        return self._builder.build(request, progress, warn)

    def create(self, spec: ContainerSpec) -> Handle:
        if self.api.is_libpod() and spec.cpus > self.info().cpus:  # Podman ignores such a limit
            raise failures.too_many_cpus(spec.cpus, self.info().cpus)
        handle, discarded = creation.create(self.api, spec)
        if discarded:
            found = limits.in_order({*self.info().unenforced, *discarded})
            self._info = replace(self.info(), unenforced=found)
        return handle

    def start(self, handle: Handle) -> None:
        self._kills.note_start(handle)
        self.api.bytes("POST", _path(handle, "start"), action="start the container")  # 304: it runs already

    def wait(self, handle: Handle) -> Exit:
        self._waited_for[handle] = engine_pid(self.address)
        while True:  # each round blocks until the container's state changes
            query, action = {**_WAIT, "condition": "not-running"}, "wait for the container"
            waited = self.api.json("POST", _path(handle, "wait"), query, action=action)
            state = self._state(handle)
            with failures.reading(action):
                int(waited["StatusCode"])  # an engine that does not wait would be asked again and again
                created, running = is_new(state), state["Running"]
            if created:
                self._wait_for_start(handle)
            elif not running:
                with failures.reading(action):
                    return exit_of(state, handle, self._kills)

    def attach(self, handle: Handle) -> AttachedLog | None:
        try:
            return AttachedOutput(self.api, _path(handle, "attach"), self._guard)
        except (EngineError, OSError):  # OSError: the guard cannot be started
            return None

    def connect(self, handle: Handle) -> DockerSession:
        action = "inspect the container"
        found = self.api.json("GET", _path(handle, "json"), action=action)
        with failures.reading(action):
            has_terminal = bool(found["Config"]["Tty"])
        return DockerSession(self.api, _path(handle, "attach"), framed=not has_terminal)

    def resize(self, handle: Handle, rows: int, columns: int) -> None:
        with suppress(EngineError):  # it has ended
            self.api.bytes("POST", _path(handle, "resize"), {"h": rows, "w": columns}, action="resize it")

    def logs(self, handle: Handle, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        return read_log(self.api, _path(handle, "logs"), follow=follow, tail=tail)

    def inspect(self, handle: Handle) -> ContainerStatus:
        state = self._state(handle)
        with failures.reading("inspect the container"):
            if is_new(state) or state["Running"]:
                return ContainerStatus(None, self._elapsed(state))
            exit_ = exit_of(state, handle, self._kills)
        return ContainerStatus(exit_, exit_.seconds)

    def _elapsed(self, state: Mapping[str, Any]) -> float | None:
        started = seconds(state["StartedAt"])
        if started is None:
            return None
        info = self.api.json("GET", "/info", action="query the engine")  # the only exact time of its clock
        return (seconds(str(info.get("SystemTime") or "")) or time.time()) - started

    def gpus(self, handle: Handle) -> tuple[str, ...]:
        action = "inspect the container"
        found = self.api.json("GET", _path(handle, "json"), action=action)
        with failures.reading(action):
            return gpus_of(found["HostConfig"])

    def is_stopped_by_shutdown(self, handle: Handle, exit_: Exit) -> bool:
        from localrun.engines.dockerd import shutdown

        ended_by_signal = exit_.code in shutdown.EXIT_CODES
        if self._has_restarted(handle):  # its events are lost
            return ended_by_signal
        if not shutdown.is_stopping(self.address, ask=exit_.code != 0):
            return False
        if shutdown.was_signalled(self.api, handle, exit_):
            return True
        return self._has_restarted(handle) and ended_by_signal  # the new engine answered, without the event

    def _has_restarted(self, handle: Handle) -> bool:
        """Return whether another process is the engine now than at the last look; the first is `wait`."""
        before, now = self._waited_for.get(handle), engine_pid(self.address)
        if before is None or now in (None, before):
            return False
        self._waited_for[handle] = now
        return True

    def measure(self, handle: Handle) -> Usage | None:
        return self._control_groups.measure(handle) if self.address.is_local else None

    def _pid(self, handle: Handle) -> int:
        try:
            found = self.api.json("GET", _path(handle, "json"), action="inspect the container")
            return int(found["State"]["Pid"])
        except (EngineError, KeyError, TypeError, ValueError):
            return 0

    def usage(self, handle: Handle) -> Generator[Usage, None, None]:
        # one streaming request: the engine takes a second for each sample anyway
        action, path = "measure the container", _path(handle, "stats")
        query: dict[str, Any] = {"stream": "true"}
        if self.api.is_libpod():  # its version of Docker's stream has a sample every five seconds
            path, query = "/libpod/containers/stats", {**query, "containers": handle, "interval": 1}
        response = self.api.open("GET", path, query, action=action, allowed={404, 409})
        with closing(response):
            if response.status == 404:  # Podman's has no message
                raise failures.container_gone(action)
            if response.status == 409:  # a rootless Podman without control groups cannot measure it
                return
            for stats in iter_json(response, action):
                with failures.reading(action):
                    usage = parse_usage(stats, self.info().memory)
                if usage is None:  # it has ended: later samples are empty
                    return
                yield usage

    def size(self, handle: Handle) -> int:
        action = "measure the container"
        found = self.api.json("GET", _path(handle, "json"), {"size": "1"}, action=action)
        with failures.reading(action):
            return int(found.get("SizeRw") or 0)

    def stop(self, handle: Handle, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds, rounded up."""
        verb, query = ("stop", {"t": math.ceil(grace)}) if grace > 0 else ("kill", None)
        # 304 and 409: it is not running; 404: it does not exist
        with suppress(failures.NotRunning):
            self.api.bytes(
                "POST", _path(handle, verb), query, action="stop the container", allowed={404, 409}
            )

    def remove(self, handle: Handle) -> None:
        self._waited_for.pop(handle, None)
        self._kills.forget(handle)
        query, action = {"force": 1, "v": 1}, "remove the container"
        # 409: it is already being removed
        self.api.bytes("DELETE", _path(handle), query, action=action, allowed={404, 409})

    def find(self, labels: Mapping[str, str]) -> list[ContainerSummary]:
        query = {"all": 1, **label_filter(labels)}
        action = "list containers"
        listed = self.api.json("GET", "/containers/json", query, action=action)
        with failures.reading(action):
            return [
                container(item) for item in listed if is_own_container(name_of(item), item["Labels"] or {})
            ]

    def copy_in(self, handle: Handle, target: str, tar: Iterable[bytes]) -> None:
        headers, action = {"Content-Type": "application/x-tar"}, f"copy files to {target} in the container"
        path, query = _path(handle, "archive"), {"path": target}
        response = self.api.open("PUT", path, query, body=iter(tar), headers=headers, action=action)
        read_message(response)

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        action = f"copy {source} from the container"
        for _ in range(_COPY_TRIES):
            response = self.api.send("GET", _path(handle, "archive"), {"path": source})
            if response.status != 200:
                raise failures.copy_error(response.status, read_message(response), action)
            is_empty = True
            for chunk in response.chunks():
                is_empty = False
                yield chunk
            if not is_empty:
                return
            time.sleep(_COPY_DELAY)
        raise EngineError(f"cannot {action}: the engine answered with an empty archive")

    def abandon(self, thread: int) -> None:
        self.api.transport.abandon(thread)
        if "_builder" in self.__dict__:
            self._builder.abandon(thread)

    def close(self) -> None:
        if "_builder" in self.__dict__:
            self._builder.close()
        self.api.transport.close()
        self._guard.close()

    def _wait_for_start(self, handle: Handle) -> None:
        """Wait for the exit of a container that has not been started yet."""
        query, action = {**_WAIT, "condition": "next-exit"}, "wait for the container"
        with closing(self.api.open("POST", _path(handle, "wait"), query, action=action)) as response:
            # The engine reports exits from now on. An exit before is possible if it has been started by now.
            state = self._state(handle)
            with failures.reading(action):
                created = is_new(state)
            if created:
                read_message(response)

    def _state(self, handle: Handle) -> dict[str, Any]:
        action = "inspect the container"
        found = self.api.json("GET", _path(handle, "json"), action=action)
        with failures.reading(action):
            return dict(found["State"])


def _path(handle: Handle, verb: str = "") -> str:
    if not handle.isalnum():
        raise ContainerGone(f"invalid container handle {handle!r}", handle=handle)
    return f"/containers/{handle}/{verb}" if verb else f"/containers/{handle}"
