"""Loads the settings: an argument takes precedence over a variable, this over the file of the project, this
over the file of the user, and this over the default.

The entry points load them once and pass them down; no other module reads the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from localrun.errors import Problem, UsageError
from localrun.settings.files import find_project_file, find_user_file
from localrun.settings.model import FIELDS, PATHS, Defaults, LoadedSettings, Settings
from localrun.settings.places import NO_FOLDER, default_cache, expanded, missing_working_directory
from localrun.undecodable import escape, is_text
from localrun.units import format_count, parse_bytes, parse_duration

PREFIX = "LOCALRUN_"
_PARSERS: dict[str, Callable[[str], float]] = {"max_age": parse_duration, "max_size": parse_bytes}
_ENGINE = ("docker_host", "docker_context")  # what chooses the engine
VARIABLES = {name: PREFIX + name.upper() for name in FIELDS}

Key = tuple[str, ...]


def load(environ: Mapping[str, str], *, with_files: bool = True, **arguments: Any) -> Settings:
    """Return the settings from arguments (None: not set), environment variables, and files unless excluded.

    The file of the project is that of the working directory. Raises `UsageError` with every invalid value.
    """
    found = _Found()
    for name, value in arguments.items():
        found.add((name,), value, _at(VARIABLES[name]), "option")
    for name, variable in VARIABLES.items():
        found.add((name,), environ.get(variable) or None, _at(variable))
    _add_foreign(found, environ)
    _add_options(found, environ)
    if with_files:
        _add_files(found, environ)
    if not found.has("cache") and environ.get("XDG_CACHE_HOME"):
        found.add(("cache",), Path(environ["XDG_CACHE_HOME"]) / "localrun", _at("XDG_CACHE_HOME"))
    made = LoadedSettings(**_checked(found), defaults=found.defaults(environ))
    if not found.has("cache"):
        made = msgspec.structs.replace(made, cache=default_cache())
    if not found.has("docker_config"):
        made = msgspec.structs.replace(made, docker_config=expanded(made.docker_config) or NO_FOLDER)
    try:
        return msgspec.structs.replace(made, **_absolute(made))
    except OSError as error:
        raise missing_working_directory() or error from error


class _Found:
    """The values that were found, by key; the first value of a key takes precedence."""

    def __init__(self) -> None:
        self.values: dict[Key, Any] = {}
        self.places: dict[Key, Problem] = {}
        self.problems: list[Problem] = []
        self._origins: dict[Key, str] = {}
        self.blocked: dict[Key, Problem] = {}

    def has(self, name: str) -> bool:
        return (name,) in self.values

    def add(
        self, key: Key, value: Any, place: Problem, origin: str = "", *, blocked: Problem | None = None
    ) -> None:
        """Add a value unless it is None or there is one already; `place` is an empty problem with it."""
        if value is None or key in self.values:
            return
        self.values[key] = value
        self.places[key] = place
        self._origins[key] = origin or (_line(place) if place.file else place.path)
        if blocked is not None:
            self.blocked[key] = blocked
            if key[0] in FIELDS:
                self.problems.append(blocked)

    def defaults(self, environ: Mapping[str, str]) -> Defaults:
        """Return the options of tasks and servers."""
        others = {key: value for key, value in self.values.items() if key[0] not in FIELDS}
        if not others:
            return Defaults(origins=_dotted(self._origins))
        run: dict[str, Any] = {}
        sections: dict[str, dict[str, Any]] = {"inputs": {}, "server": {}}
        for key, value in others.items():
            if len(key) == 1:
                run[key[0]] = value
            else:
                table = sections[key[0]] if key[0] in sections else run.setdefault(key[0], {})
                table[key[1]] = value
        names = [text[4:] for text in run.get("build_secrets", {}).values() if text.startswith("env=")]
        variables = {name: environ[name] for name in names if name in environ}
        return Defaults(
            run=run,
            variables=variables,
            origins=_dotted(self._origins),
            blocked=_dotted(self.blocked),
            **sections,
        )


def _at(variable: str) -> Problem:
    return Problem(variable, "")


def _line(place: Problem) -> str:
    return f"{place.file}:{place.line}" if place.line else place.file


def _dotted(values: Mapping[Key, Any]) -> dict[str, Any]:
    return {".".join(key): value for key, value in values.items()}


def _add_foreign(found: _Found, environ: Mapping[str, str]) -> None:
    """Add what the variables of Docker, Podman and the desktop say about settings."""
    foreign = {
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
    is_chosen = any(map(found.has, _ENGINE))  # localrun's own variables come before docker's
    for name, value in foreign.items():
        if not (is_chosen and name in _ENGINE):
            found.add((name,), value or None, _at(name.upper().replace("RUNTIME", "XDG_RUNTIME")))


def option_variables() -> dict[Key, str]:
    """Return the variable of each option of a task or a server that has one: those with a single value."""
    from localrun.settings.options import LOCAL_SCALARS, PARSERS, SERVER_SCALARS

    found: dict[Key, str] = {(name,): PREFIX + name.upper() for name in (*PARSERS, *LOCAL_SCALARS)}
    found |= {("server", name): f"{PREFIX}SERVER_{name.upper()}" for name in SERVER_SCALARS}
    return {**found, ("server", "token"): f"{PREFIX}TOKEN"}


def _add_options(found: _Found, environ: Mapping[str, str]) -> None:
    """Add the options of tasks and servers that are variables."""
    if not any(name.startswith(PREFIX) for name in environ):
        return
    from localrun.settings.options import LOCAL_PARSERS, PARSERS, SERVER_PARSERS

    for key, variable in option_variables().items():
        text = environ.get(variable)
        if text:
            parse = SERVER_PARSERS[key[1]] if len(key) > 1 else {**PARSERS, **LOCAL_PARSERS}[key[0]]
            try:
                value = _parsed(text, parse)
                if key[0] in ("dockerfile", "context"):
                    value = os.path.abspath(os.path.expanduser(value))  # noqa: PTH100, PTH111 - keeps links
                found.add(key, value, _at(variable))
            except ValueError as error:
                found.problems.append(Problem(variable, str(error)))


def _parsed(text: str, parse: Callable[[Any], Any]) -> Any:
    """Parse a variable, whose text may be a number or a boolean. Raises `ValueError`."""
    if not is_text(text):
        raise ValueError(f"'{escape(text)}' is not UTF-8")
    with suppress(ValueError):
        return parse(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return parse(text)  # raises
    with suppress(ValueError):
        return parse(value)
    return parse(bool(value) if value in (0, 1) else text)


def _add_files(found: _Found, environ: Mapping[str, str]) -> None:
    """Add the values of the settings files. A file that cannot be read is a problem."""
    has_engine = any(map(found.has, _ENGINE))
    for is_project in (True, False):
        try:
            file = find_project_file(_working_directory()) if is_project else find_user_file(environ)
        except UsageError as error:
            found.problems += error.problems
            continue
        if file is None:
            continue
        from localrun.settings.file_values import FileValues

        checked = FileValues(file, environ)
        found.problems += checked.problems
        for key, value in checked.values.items():
            if not (has_engine and key[0] in _ENGINE):
                found.add(key, value, checked.place(key), blocked=checked.blocked.get(key))


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was deleted; who needs it reports that
        return Path("/")


def _absolute(made: Settings) -> dict[str, Any]:
    """Return the paths that must not depend on the working directory, which a supervisor does not keep."""
    names = ("home", "cache", "logs", "docker_config", "docker_cert_path")
    found: dict[str, Any] = {name: path.absolute() for name in names if (path := getattr(made, name))}
    socket = (made.docker_host or "").removeprefix("unix://")
    if socket not in ("", made.docker_host) and not socket.startswith("/"):
        found["docker_host"] = f"unix://{Path(socket).absolute()}"
    return found


def _checked(found: _Found) -> dict[str, Any]:
    """Return the settings converted to their types. Raises `UsageError` with all problems."""
    types = get_type_hints(Settings, include_extras=True)
    valid: dict[str, Any] = {}
    problems: list[Problem] = []
    for (name, *_), value in found.values.items():
        if name not in FIELDS:
            continue
        place = found.places[(name,)]
        if isinstance(value, str) and not is_text(value) and name not in PATHS:
            problems.append(replace(place, message=f"'{escape(value)}' is not UTF-8"))
            continue
        try:
            parsed = _PARSERS[name](value) if isinstance(value, str) and name in _PARSERS else value
            typed = msgspec.convert(parsed, types[name], strict=False, dec_hook=_to_path)
            valid[name] = expanded(typed) if isinstance(typed, Path) else typed
            if isinstance(typed, Path) and valid[name] is None:
                raise ValueError("no home directory to expand ~ to")
        except (ValueError, TypeError) as error:  # also of msgspec
            reason = f"{str(error)[:1].lower()}{str(error)[1:]}".replace("`", "")
            problems.append(replace(place, message=f"invalid value {_shown(value)}: {reason}"))
    problems += found.problems
    if problems:
        untrusted = [one for one in found.blocked.values() if one not in problems]
        problems = sorted([*problems, *untrusted], key=lambda one: (one.file, one.line))
        message = f"invalid settings ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="correct or remove the settings listed", problems=problems)
    return valid


def _to_path(type_: type, value: Any) -> Any:
    return type_(value)


def _shown(value: Any) -> str:
    return repr(str(value) if isinstance(value, Path) else value)
