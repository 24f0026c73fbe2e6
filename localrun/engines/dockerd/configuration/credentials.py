"""Registry credentials of the user's docker configuration, and of credential helpers.

Nothing here may prevent a pull or a build: the registry may not need a login. What cannot be used is noted as
a problem of the configuration, and the other credentials are used.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import docker.auth
from docker.credentials.constants import PROGRAM_PREFIX
from docker.credentials.errors import CredentialsNotFound, StoreError
from docker.credentials.store import Store
from docker.errors import DockerException

from localrun.engines.dockerd.configuration.file import UNREADABLE, ConfigFile

PATIENCE = 10.0  # seconds for a credential helper
_FAILURES = (DockerException, *UNREADABLE)
_NOT_FOUND = "credentials not found"  # docker's helpers, in their output
_MOST_QUOTED = 200  # characters of a helper's error


def registry_auth(config: ConfigFile, repository: str) -> str:
    """Return the `X-Registry-Auth` header for a repository; empty if there are no credentials."""
    try:
        registry, _ = docker.auth.resolve_repository_name(repository)
        found = _Credentials(config).resolve_authconfig(registry)
    except _FAILURES as error:
        config.ignore(f"the credentials of {repository}: {type(error).__name__}")
        return ""
    return _header(found) if found else ""


def all_registry_auth(config: ConfigFile) -> str:
    """Return the `X-Registry-Config` header with all credentials, for the base images of a build."""
    known = _Credentials(config)
    try:
        found: dict[str, Any] = known.get_all_credentials()  # type: ignore[no-untyped-call]
    except _FAILURES as error:
        config.ignore(f"its credentials: {type(error).__name__}")
        return ""
    # a helper that fails does not hide what the file itself contains
    usable = {registry: auth for registry, auth in (*known.auths.items(), *found.items()) if auth}
    return _header(usable) if usable else ""


def failed_helpers(config: ConfigFile) -> set[str]:
    """Return the credential helpers that do not list their registries. A build client would stop at them."""
    credentials = _Credentials(config)
    names = {config.get("credsStore", str), *credentials.helpers.values()} - {""}
    return {name for name in sorted(names) if not credentials.is_working(name)}


class _Credentials(docker.auth.AuthConfig):
    """docker-py's lookup of credentials, which skips what fails."""

    def __init__(self, config: ConfigFile) -> None:
        helpers = config.get("credHelpers", dict)
        self.helpers = {name: value for name, value in helpers.items() if isinstance(value, str)}
        for name in sorted(helpers.keys() - self.helpers.keys()):
            config.ignore(f"credHelpers.{name} must be a string")
        store = config.get("credsStore", str) or None
        super().__init__({"auths": _entries(config), "credHelpers": self.helpers, "credsStore": store})
        self._config = config
        self._failed: set[str] = set()
        self._made: dict[str, _Helper] = {}

    def is_working(self, name: str) -> bool:
        self._get_store_instance(name).list()
        return name not in self._failed

    def _get_store_instance(self, name: str) -> _Helper:
        if name not in self._made:
            self._made[name] = _Helper(name, lambda error: self._fail(name, error))
        return self._made[name]

    def _resolve_authconfig_credstore(self, registry: str, credstore_name: str) -> dict[str, str] | None:
        if credstore_name in self._failed:
            return None
        try:
            found: dict[str, str] | None
            found = super()._resolve_authconfig_credstore(registry, credstore_name)  # type: ignore[misc]
            if found is None or all(isinstance(value, str) for value in found.values()):
                return found
            raise TypeError("it did not print credentials")
        except _FAILURES as error:
            self._fail(credstore_name, error.__cause__ or error)
            return None

    def _fail(self, name: str, error: BaseException) -> None:
        self._failed.add(name)
        # the output of a helper may be a secret
        reason = error if isinstance(error, StoreError) else "it did not print credentials as JSON"
        self._config.ignore(f"credentials of the helper {PROGRAM_PREFIX}{name}: {reason}")


class _Helper(Store):
    """docker-py's credential helper with a time limit, and without output to the terminal."""

    def __init__(self, name: str, fail: Callable[[BaseException], None]) -> None:
        self.program = f"{PROGRAM_PREFIX}{name}"
        self._fail = fail
        self.exe = None
        with suppress(ValueError):  # a zero byte
            self.exe = shutil.which(self.program)

    def list(self) -> dict[str, Any]:
        """Return the registries with credentials; none if the helper fails."""
        try:
            found: dict[str, Any] = super().list()  # type: ignore[no-untyped-call]
            if not isinstance(found, dict):
                raise TypeError("not an object")
        except _FAILURES as error:
            self._fail(error)
            return {}
        return found

    def _execute(self, subcmd: str, data_input: bytes | None) -> bytes:
        if self.exe is None:
            raise StoreError("it is not installed")
        try:
            with subprocess.Popen(
                [self.exe, subcmd],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process:
                output = _communicate(process, data_input)
        except OSError as error:
            raise StoreError(error.strerror) from error
        if not process.returncode:
            return output
        text = output.decode(errors="replace").strip()
        if _NOT_FOUND in text:
            raise CredentialsNotFound(text)
        raise StoreError(f"exit code {process.returncode}: {text[:_MOST_QUOTED] or 'no message'}")


def _communicate(process: subprocess.Popen[bytes], data: bytes | None) -> bytes:
    try:
        return process.communicate(data or b"", timeout=PATIENCE)[0]
    except BaseException as error:
        with suppress(ProcessLookupError):  # its children too: they would keep the pipes open
            os.killpg(process.pid, signal.SIGKILL)
        if isinstance(error, subprocess.TimeoutExpired):
            raise StoreError(f"no answer within {PATIENCE:g} s") from error
        raise


def _entries(config: ConfigFile) -> dict[str, dict[str, str]]:
    """Return the credentials that the file itself contains, by registry."""
    found: dict[str, dict[str, str]] = {}
    for registry, entry in config.get("auths", dict).items():
        try:
            (auth,) = docker.auth.parse_auth({registry: entry}, raise_on_error=True).values()
            found[registry] = {name: value for name, value in auth.items() if isinstance(value, str)}
        except _FAILURES:  # the message may contain a part of the password
            config.ignore(f"auths.{registry} must have `auth`, the base64 of USER:PASSWORD")
    return found


def _header(found: Any) -> str:
    return str(docker.auth.encode_header(found).decode())
