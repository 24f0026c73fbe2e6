"""Completes the options of a task with those of variables and settings files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from localrun.bundle.images.build_options import FolderBuild, check_context, parse_secrets
from localrun.errors import Problem, UsageError
from localrun.settings import Settings
from localrun.task.bind_mounts import parse_mounts
from localrun.task.options import parse_options
from localrun.task.record import BindMount
from localrun.units import format_count

_ONLY_BUILD = ("dockerfile", "context", "target", "build_args", "build_contexts", "build_secrets")
_IEXEC_INPUTS = ("args", "input_files", "datasets", "callback")
_IEXEC_SECRETS = {"secrets": "--secret NUMBER=@FILE", "app_secret": "--app-secret @FILE"}
_IMAGE = (*_ONLY_BUILD, "image", "platform")


def with_defaults(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return fields of a `Request`, completed with the options of the settings that `given` leaves open.

    Options that are None, empty or missing are open. Tables, mounts and secrets of a build are completed by
    their names. Raises `UsageError` with all problems, and if the user has to trust the project first.
    """
    inputs = {"default_inputs": settings.defaults} if settings.defaults.inputs else {}
    return {**given, **_open_options(given, settings), **inputs}


def build_with_defaults(
    given: Mapping[str, Any], image: str | None, settings: Settings
) -> tuple[FolderBuild, str | None]:
    """Return how to build the image of a folder, and the image to use instead, completed as a request.

    Raises as `with_defaults`.
    """
    found = {**given, **_open_options({**given, "image": image}, settings, _IMAGE)}
    chosen = found.pop("image", None) or image
    secrets, contexts = found.pop("build_secrets", ()), found.pop("build_contexts", {})
    return FolderBuild(**found, secrets=tuple(secrets), contexts=contexts), chosen


def iexec_inputs(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the inputs of an iExec app, completed with those of the settings.

    Raises `UsageError` for secrets in the settings, and if the user has to trust the project first.
    """
    defaults = settings.defaults
    for name, option in _IEXEC_SECRETS.items():
        if name in defaults.inputs:
            message = f"{defaults.origins[f'inputs.{name}']}: a secret of an iExec app cannot be a setting"
            raise UsageError(message, remedy=f"pass it as an option: `{option}`")
    used = {
        name: _without_at(defaults.inputs[name])
        for name in _IEXEC_INPUTS
        if name in defaults.inputs and not given.get(name)
    }
    defaults.check_trusted(f"inputs.{name}" for name in used)
    return {**given, **used}


def _without_at(value: Any) -> Any:
    """Return the files of an app, which are paths without `@`."""
    if isinstance(value, list):
        return [_without_at(item) for item in value]
    return value[1:] if isinstance(value, str) and value.startswith("@") else value


def _open_options(
    given: Mapping[str, Any], settings: Settings, names: Collection[str] = ()
) -> dict[str, Any]:
    """Return the options of the settings that `given` leaves open, of `names` only if there are any."""
    defaults = settings.defaults
    unused = _ONLY_BUILD if given.get("image") else ()  # that image is not built
    used = {
        name: value
        for name, value in defaults.run.items()
        if name not in unused
        and (not names or name in names)
        and (isinstance(value, (dict, list)) or given.get(name) in (None, ""))
    }
    if not used:
        return {}
    keys = (f"{name}.{key}" for name, value in used.items() if isinstance(value, dict) for key in value)
    defaults.check_trusted([*used, *keys])
    problems: list[Problem] = []
    found = used | parse_options(used, problems)
    for name, parse in _PARSERS.items():
        if name in used:
            try:
                found[name] = parse(used[name], defaults.variables)
            except ValueError as error:
                problems.append(Problem(name, str(error)))
    if problems:
        places = [replace(one, file=defaults.origins.get(one.path, "")) for one in problems]
        message = f"invalid settings ({format_count(len(places), 'problem')})"
        raise UsageError(message, remedy="correct or remove the settings listed", problems=places)
    return _merged(found, given)


def _merged(found: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, completed with what `given` has of the same tables and lists."""
    for name in ("build_args", "build_contexts", "metadata"):
        if name in found:
            found[name] = {**found[name], **(given.get(name) or {})}
    if "build_secrets" in found:
        secrets = (*found["build_secrets"], *(given.get("build_secrets") or ()))
        found["build_secrets"] = tuple({secret.id: secret for secret in secrets}.values())
    if "mounts" in found:
        mounts = (*found.pop("mounts"), *(given.get("bind_mounts") or ()))
        found["bind_mounts"] = list({mount.target: mount for mount in mounts}.values())
    return found


def _contexts(contexts: Mapping[str, str], _: Mapping[str, str]) -> Mapping[str, str]:
    for name, reference in contexts.items():
        check_context(name, reference)
    return contexts


def _mounts(texts: Sequence[str], _: Mapping[str, str]) -> list[BindMount]:
    return parse_mounts(texts)


_PARSERS: dict[str, Callable[[Any, Mapping[str, str]], Any]] = {
    "build_contexts": _contexts,
    "build_secrets": parse_secrets,
    "mounts": _mounts,
}
