"""The builder of an engine: chosen when it is first needed, then asked for warnings and images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from localrun.engines.base import BuilderInfo, BuildRequest, EngineImage, EngineInfo, Progress
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.builders.clients import BUILDAH, BUILDKIT, BuildClient, Clients
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.engines.dockerd.images import DockerImages
from localrun.errors import Cause, ImageError

if TYPE_CHECKING:
    from localrun.engines.dockerd.builders.process import Processes

PODMAN = "podman"


class Builder:
    """Builds with BuildKit if it has a client, with Podman's own build, or with the classic builder."""

    def __init__(
        self, images: DockerImages, address: Address, clients: Clients, info: Callable[[], EngineInfo]
    ) -> None:
        self._images = images
        self._address = address
        self._clients = clients
        self._info = info

    @cached_property
    def _processes(self) -> Processes:
        from localrun.engines.dockerd.builders.process import Processes

        return Processes()

    def abandon(self, thread: int) -> None:
        """Terminate the client that a thread waits for."""
        self._processes.abandon(thread)

    def close(self) -> None:
        """Terminate all clients."""
        if "_processes" in self.__dict__:
            self._processes.close()

    def identity(self) -> str:
        """Return a string that differs between builders whose images differ; see `Engine.builder`."""
        return BUILDAH.kind if self._is_podman else self._clients.identity()

    def describe(self) -> BuilderInfo:
        client = self._client()
        return BuilderInfo(client.kind, str(client.path or ""), client.version(), client.remedy)

    def warnings(self, request: BuildRequest) -> tuple[str, ...]:
        """Return what the builder ignores or does differently. Starts a process only if there may be any."""
        # every run of a folder asks, so nothing is imported or read if the answer is known
        options = request.contexts or request.build_args or request.secrets
        if not options and (self._is_podman or self._clients.identity() == BUILDKIT):
            return ()
        from localrun.engines.dockerd.builders.dockerfiles import prepare, unused_options
        from localrun.engines.dockerd.builders.features import classic_warnings

        try:
            prepared = prepare(request)
        except ImageError:  # the build reports it
            return ()
        unused = tuple(
            f"{option}: the Dockerfile does not use it" for option in unused_options(request, prepared)
        )
        given = set(request.build_args)
        found = classic_warnings(prepared.parsed, prepared.name, target=request.target, given=given)
        return (*unused, *found) if found and self._client().kind == "classic" else unused

    def build(self, request: BuildRequest, progress: Progress, warn: Callable[[str], None]) -> EngineImage:
        from localrun.engines.dockerd.builders.dockerfiles import prepare

        prepared, client = prepare(request), self._client()
        docker = "" if client == BUILDAH else self._info().version
        if client.is_buildkit:
            from localrun.engines.dockerd.builders.buildkit import BuildKitBuild
            from localrun.engines.dockerd.builders.syntax import resolve_syntax

            prepared = resolve_syntax(prepared, self._images, docker, warn)
            buildkit = BuildKitBuild(self._images, self._address, client, self._processes)
            return buildkit.run(request, progress, prepared, docker, warn)
        from localrun.engines.dockerd.build import Build
        from localrun.engines.dockerd.configuration.proxies import proxy_variables

        _check_secrets(request, client)
        config = ConfigFile(self._images.config)
        build = Build(
            self._images,
            request,
            progress,
            prepared=prepared,
            client=client,
            docker=docker,
            proxies=proxy_variables(config, self._address),
            credentials=self._credentials(config),
        )
        self._images.report_new_problems(config, warn)
        return build.run()

    @staticmethod
    def _credentials(config: ConfigFile) -> dict[str, str]:
        if not config.content:
            return {}
        from localrun.engines.dockerd.configuration.credentials import all_registry_auth

        header = all_registry_auth(config)
        return {"X-Registry-Config": header} if header else {}

    @property
    def _is_podman(self) -> bool:
        return self._info().name == PODMAN

    def _client(self) -> BuildClient:
        if self._is_podman:
            return BUILDAH
        found = self._clients.find()
        if found.is_buildkit and self._address.uses_tls and self._address.certificates is None:
            # docker's clients have no such mode: they need the certificate of the CA
            remedy = "for BuildKit, put ca.pem in a folder, and set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH"
            return BuildClient("classic", remedy=remedy)
        return found


def _check_secrets(request: BuildRequest, client: BuildClient) -> None:
    if request.secrets:
        which = "Podman's API" if client == BUILDAH else "the classic builder"
        raise ImageError(
            f"{which} does not support build secrets",
            remedy=client.remedy or "use a Docker engine, or `podman build --secret`",
            cause=Cause.IMAGE_BUILD_FAILED,
        )
