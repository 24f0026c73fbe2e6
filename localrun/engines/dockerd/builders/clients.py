"""The client that builds images on an engine: BuildKit's, found as docker finds it, or none."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.errors import UsageError

Choice = Literal["auto", "buildkit", "classic"]
Kind = Literal["buildx", "cli", "classic", "buildah"]

# as docker's own command line (cli-plugins/manager)
SYSTEM_PLUGINS = (
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)
STANDALONE = ("docker-buildx", "buildx")
INSTALL = (
    "install BuildKit's client: `apt-get install docker-buildx` (from Debian or Ubuntu) or"
    " `apt-get install docker-buildx-plugin` (from Docker's own packages)"
)
_VERSION = re.compile(r"v?(?P<major>\d{1,9})\.(?P<minor>\d{1,9})\S*")
_WITHOUT_PLUGIN = (
    (18, 9),
    (23, 0),
)  # the docker commands with BuildKit inside: from the first, before the second
_PATIENCE = 20  # seconds for a client to print its version


class BuildClient(msgspec.Struct, frozen=True):
    """A build client and its path. `buildah` is Podman's own build, `classic` the engine's older builder.

    `remedy` says how to get BuildKit.
    """

    kind: Kind
    path: Path | None = None
    remedy: str = ""

    @property
    def is_buildkit(self) -> bool:
        return self.kind in ("buildx", "cli")

    def version(self) -> str:
        """Return the client's version; empty if it has none or does not start. Starts a process."""
        if self.path is None:
            return ""
        return _version([str(self.path), "--version" if self.kind == "cli" else "version"])

    def command(self, address: Address, config: Path, more: Sequence[str] = ()) -> list[str]:
        """Return the start of a build's command line, for the engine at `address` and no other.

        `more` are further variables, as NAME=VALUE.
        """
        assert self.path is not None
        unset = ["DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "BUILDX_BUILDER"]
        values = {
            "DOCKER_HOST": _host(address),
            "DOCKER_CONFIG": str(config),
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            "BUILDX_GIT_INFO": "false",
        }
        if address.uses_tls and address.certificates is not None:
            values["DOCKER_CERT_PATH"] = str(address.certificates)
            values["DOCKER_TLS_VERIFY" if address.verify else "DOCKER_TLS"] = "1"
        # env(1): only the entry points read this process's environment
        settings = [*(f"{name}={value}" for name, value in values.items()), *more]
        start = ["env", *(part for name in unset for part in ("-u", name)), *settings, str(self.path)]
        return (
            [*start, "--builder", "default", "build", "--load"]
            if self.kind == "buildx"
            else [*start, "build"]
        )


BUILDKIT = "buildkit"  # the identity of buildx
CLASSIC = BuildClient("classic", remedy=INSTALL)
BUILDAH = BuildClient("buildah")


class Clients:
    """Finds the client for `choice`. `config` is docker's folder. Starts no process until one is needed."""

    def __init__(self, choice: Choice, config: Path) -> None:
        self.choice = choice
        self._config = config
        self._found: BuildClient | None = None

    def identity(self) -> str:
        """Return a string that differs between clients whose images differ. Starts no process.

        For a docker command without the buildx plugin it is derived from its file, whose version decides.
        """
        if self.choice != "classic" and not self.plugin():
            command = shutil.which("docker")
            if command:
                status = Path(command).stat()
                return f"docker {status.st_size} {status.st_mtime_ns}"
        return BUILDKIT if self.plugin() and self.choice != "classic" else "classic"

    def find(self) -> BuildClient:
        """Return the client. May start `docker --version`. Raises `UsageError` if BuildKit is missing."""
        if self._found is None:
            self._found = self._find()
        return self._found

    def _find(self) -> BuildClient:
        if self.choice == "classic":
            unset = "unset LOCALRUN_BUILDER"
            return BuildClient("classic", remedy=unset if self.plugin() else f"{INSTALL}, and {unset}")
        plugin = self.plugin()
        if plugin is not None:
            return BuildClient("buildx", plugin)
        command = shutil.which("docker")
        if command:
            found = _VERSION.fullmatch(_version([command, "--version"]))
            first, last = _WITHOUT_PLUGIN
            if found and first <= (int(found["major"]), int(found["minor"])) < last:
                return BuildClient("cli", Path(command))
        if self.choice == "buildkit":
            raise UsageError(
                "LOCALRUN_BUILDER=buildkit, but no client of BuildKit was found",
                remedy=f"{INSTALL}, or unset it",
            )
        return CLASSIC

    def plugin(self) -> Path | None:
        """Return docker's buildx plugin, or its command of its own, if there is one."""
        extra = ConfigFile(self._config).get("cliPluginsExtraDirs", list)
        for folder in (
            *(Path(each) for each in extra if isinstance(each, str)),
            self._config / "cli-plugins",
            *SYSTEM_PLUGINS,
        ):
            path = folder / "docker-buildx"
            if os.access(path, os.X_OK) and path.is_file():
                return path
        found = next(filter(None, map(shutil.which, STANDALONE)), None)
        return Path(found) if found else None


def _host(address: Address) -> str:
    scheme, _, rest = address.url.partition("://")
    return f"tcp://{rest}" if scheme in ("http", "https") else address.url


def _version(command: list[str]) -> str:
    """Return the first version in the output of a command; empty if it cannot be started."""
    import subprocess

    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout)
    return found[0].rstrip(",") if found else ""
