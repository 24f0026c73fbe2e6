"""The settings of localrun itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from localrun.errors import Problem, UsageError

CACHE = Path("~/.cache/localrun")
# of the settings; these may contain bytes that are not UTF-8
PATHS = {"home", "cache", "logs", "docker_config", "docker_cert_path", "runtime_dir", "ledger"}


def _doc(description: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **limits)


_Positive = Annotated[int, msgspec.Meta(ge=1)]


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """Options of tasks and servers from variables and files, for what a command or a request leaves open.

    `run` has validated options by name, with absolute paths. In `inputs`, `@FILE` is a file. `origins` are
    the variable or the line of a file of each value, also of the settings, by its key, e.g. `server.port`.
    `blocked` are the values of a project that the user does not trust, which must not be used. `variables`
    are those that `run` names as secrets of a build.
    """

    run: Mapping[str, Any] = {}
    inputs: Mapping[str, Any] = {}
    server: Mapping[str, Any] = {}
    origins: Mapping[str, str] = {}
    blocked: Mapping[str, Problem] = {}
    variables: Mapping[str, str] = {}

    def __repr__(self) -> str:
        """Hide the values, among which is the token of the server."""
        return "Defaults(...)"

    def check_trusted(self, names: Iterable[str]) -> None:
        """Raise `UsageError` if the user has to trust the project before these values can be used."""
        problems = [self.blocked[name] for name in names if name in self.blocked]
        if problems:
            message = "the settings of this project are not trusted"
            remedy = problems[0].remedy
            raise UsageError(message, remedy=remedy, problems=[replace(one, remedy="") for one in problems])


NO_DEFAULTS = Defaults()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of localrun. Each field is also an environment variable `LOCALRUN_<FIELD>`."""

    home: Annotated[Path, _doc("Folder of this project's tasks.")] = Path(".localrun")
    cache: Annotated[
        Path, _doc("Cache of parsed bundles. Safe to delete. Temporary if there is no home directory.")
    ] = CACHE
    logs: Annotated[Path, _doc("Folder of the server's journal.")] = Path("logs")
    docker_host: Annotated[str | None, _doc("Address of the container engine. Defaults to DOCKER_HOST.")] = (
        None
    )
    docker_context: Annotated[
        str | None, _doc("Docker context of the engine. Defaults to DOCKER_CONTEXT; default: the current one")
    ] = None
    docker_config: Annotated[Path, _doc("Folder of docker's configuration. Defaults to DOCKER_CONFIG.")] = (
        Path("~/.docker")
    )
    docker_tls_verify: Annotated[
        bool, _doc("Use TLS, and verify the engine's certificate. Defaults to DOCKER_TLS_VERIFY.")
    ] = False
    docker_tls: Annotated[
        bool, _doc("Use TLS without verifying the engine's certificate. Defaults to DOCKER_TLS.")
    ] = False
    docker_cert_path: Annotated[
        Path | None,
        _doc(
            "Folder of ca.pem, cert.pem and key.pem for TLS. Defaults to DOCKER_CERT_PATH; "
            "default: docker's configuration"
        ),
    ] = None
    container_host: Annotated[
        str | None, _doc("Address of Podman if nothing of Docker is found. Defaults to CONTAINER_HOST.")
    ] = None
    runtime_dir: Annotated[
        Path | None,
        _doc(
            "Folder of the sockets of rootless engines. Defaults to XDG_RUNTIME_DIR; default: /run/user/UID"
        ),
    ] = None
    builder: Annotated[
        Literal["auto", "buildkit", "classic"],
        _doc(
            "Builder of images: buildkit, classic (the engine's own), or auto (buildkit if it has a client)."
        ),
    ] = "auto"
    ledger: Annotated[Path | None, _doc("Reservation file. Defaults to a machine-wide file.")] = None
    grace: Annotated[float, _doc("Seconds between SIGTERM and SIGKILL.", ge=0, le=600)] = 10.0
    pids_limit: Annotated[int, _doc("Maximum number of processes and threads per task.", ge=16)] = 4096
    disk_reserve: Annotated[int, _doc("Bytes that must be free before a task starts.", ge=0)] = 256 * 1024**2
    keep_completed: Annotated[int, _doc("Number of finished tasks in a server's memory.", ge=1)] = 1000
    disk_limit: Annotated[float, _doc("Disk usage in percent above which no task starts.", gt=0, le=100)] = (
        90.0
    )
    disk_stop: Annotated[
        float,
        _doc(
            "Disk usage in percent above which the largest task is stopped and copies are refused.",
            gt=0,
            le=100,
        ),
    ] = 97.0
    engine_patience: Annotated[float, _doc("Seconds to wait for an unreachable engine.", ge=0)] = 30.0
    stall: Annotated[float, _doc("Seconds of inactivity before a stall warning (0: never).", ge=0)] = 1800.0
    log_limit: Annotated[
        int, _doc("Maximum bytes of a task's log; the last MiB is kept in addition.", ge=4096)
    ] = 64 * 1024**2
    keep: Annotated[
        _Positive | None, _doc("Number of ended tasks to keep, the others are deleted; default: all")
    ] = None
    max_age: Annotated[
        float | None, _doc("Time after its end, e.g. 30d, when a task is deleted; default: never")
    ] = None
    max_size: Annotated[
        _Positive | None, _doc("Size of all ended tasks, e.g. 50Gi, the oldest are deleted; default: any")
    ] = None

    @property
    def defaults(self) -> Defaults:
        """The options of tasks and servers, for what a command or a request leaves open."""
        return NO_DEFAULTS


class LoadedSettings(Settings, frozen=True, kw_only=True):
    """Settings with the options of tasks and servers, as `load` returns them."""

    defaults: Defaults = NO_DEFAULTS


FIELDS = Settings.__struct_fields__
