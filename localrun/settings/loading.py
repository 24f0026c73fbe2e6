"""Loads the settings: an argument takes precedence over `LOCALRUN_*` variables, and these over the default.

The entry points load them once and pass them down; no other module reads the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError
from localrun.settings.model import PATHS, Settings
from localrun.settings.places import NO_FOLDER, default_cache, expanded, missing_working_directory
from localrun.undecodable import escape, is_text
from localrun.units import format_count, parse_bytes, parse_duration

PREFIX = "LOCALRUN_"
_PARSERS: dict[str, Callable[[str], float]] = {"max_age": parse_duration, "max_size": parse_bytes}
_ENGINE = ("docker_host", "docker_context")  # what chooses the engine


def load(environ: Mapping[str, str], **arguments: Any) -> Settings:
    """Return the settings from arguments (None: not set) and environment variables.

    Raises `UsageError` with every invalid value.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    for name in Settings.__struct_fields__:
        text = environ.get(PREFIX + name.upper(), "")
        if text:
            given.setdefault(name, text)
    is_chosen = any(name in given for name in _ENGINE)  # localrun's own variables come before docker's
    defaults = {name: value for name, value in _foreign(environ).items() if value and name not in given}
    foreign = {name: value for name, value in defaults.items() if not (is_chosen and name in _ENGINE)}
    given |= foreign
    if "cache" not in given and environ.get("XDG_CACHE_HOME"):
        given["cache"] = Path(environ["XDG_CACHE_HOME"]) / "localrun"
    made = Settings(**_checked(given, foreign))
    if "cache" not in given:
        made = msgspec.structs.replace(made, cache=default_cache())
    if "docker_config" not in given:
        made = msgspec.structs.replace(made, docker_config=expanded(made.docker_config) or NO_FOLDER)
    try:
        return msgspec.structs.replace(made, **_absolute(made))
    except OSError as error:
        raise missing_working_directory() or error from error


def _foreign(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what the variables of Docker, Podman and the desktop say about settings."""
    return {
        "docker_host": environ.get("DOCKER_HOST"),
        "docker_context": environ.get("DOCKER_CONTEXT"),
        "docker_config": environ.get("DOCKER_CONFIG"),
        # to docker, any text is true, also "0"
        "docker_tls_verify": bool(environ.get("DOCKER_TLS_VERIFY")),
        "docker_tls": bool(environ.get("DOCKER_TLS")),
        "docker_cert_path": environ.get("DOCKER_CERT_PATH"),
        "container_host": environ.get("CONTAINER_HOST"),
        "runtime_dir": environ.get("XDG_RUNTIME_DIR"),
    }


def _absolute(made: Settings) -> dict[str, Any]:
    """Return the paths that must not depend on the working directory, which a supervisor does not keep."""
    names = ("home", "cache", "logs", "docker_config", "docker_cert_path")
    found: dict[str, Any] = {name: path.absolute() for name in names if (path := getattr(made, name))}
    socket = (made.docker_host or "").removeprefix("unix://")
    if socket not in ("", made.docker_host) and not socket.startswith("/"):
        found["docker_host"] = f"unix://{Path(socket).absolute()}"
    return found


def _checked(given: Mapping[str, Any], foreign: Container[str]) -> dict[str, Any]:
    """Return the settings converted to their types; `foreign` are those from variables of other programs."""
    types = get_type_hints(Settings, include_extras=True)
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        variable = (
            name.upper().replace("RUNTIME", "XDG_RUNTIME") if name in foreign else PREFIX + name.upper()
        )
        if isinstance(value, str) and not is_text(value) and name not in PATHS:
            problems.append(Problem(variable, f"'{escape(value)}' is not UTF-8"))
            continue
        try:
            if isinstance(value, str) and name in _PARSERS:
                value = _PARSERS[name](value)  # noqa: PLW2901
            found = msgspec.convert(value, types[name], strict=False, dec_hook=lambda path, x: path(x))
            valid[name] = expanded(found) if isinstance(found, Path) else found
            if isinstance(found, Path) and valid[name] is None:
                reason = "no home directory to expand ~ to"
                problems.append(Problem(variable, f"invalid value {str(value)!r}: {reason}"))
        except ValueError as error:  # also of msgspec
            reason = f"{str(error)[0].lower()}{str(error)[1:]}".replace("`", "")
            problems.append(Problem(variable, f"invalid value {value!r}: {reason}"))
    if problems:
        message = f"invalid settings ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="fix or unset the variables listed", problems=problems)
    return valid
