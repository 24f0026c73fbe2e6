"""Reading a task from a JSON object, as the HTTP API gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun.errors import InputsError, Problem, UsageError
from localrun.manager.defaults import with_defaults
from localrun.manager.request import Request, to_iexec_request
from localrun.masking.masker import MASK
from localrun.settings import Settings
from localrun.settings.model import NO_DEFAULTS
from localrun.settings.options import Parser, invalid, parse_text
from localrun.suggestions import closest, did_you_mean
from localrun.task.options import PARSERS
from localrun.units import format_count

_NO_SETTINGS = Settings()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid("an object", value)
    return value


def _object_or_path(value: Any) -> dict[str, Any] | str:
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, dict):
        raise invalid("an object, or the path of a folder", value)
    return value


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid("a list of strings", value)
    return value


def _strings_by_name(value: Any) -> dict[str, str]:
    if not all(isinstance(item, str) for item in _object(value).values()):
        raise invalid("an object of strings", value)
    return dict(value)


def _contexts(value: Any) -> dict[str, str]:
    from localrun.bundle.images.build_options import check_context

    for name, reference in _strings_by_name(value).items():
        check_context(name, reference)
    return dict(value)


def _no_secrets(_value: Any) -> Any:
    raise ValueError("secrets of a build cannot be sent; build the image with `localrun run --build-secret`")


def _no_mounts(_value: Any) -> Any:
    raise ValueError("a client cannot mount paths of the server's machine; use `localrun run --mount` on it")


_RESOURCES: dict[str, Parser] = {name: PARSERS[name] for name in ("cpus", "memory", "gpus")}
_RESOURCES["ram"] = PARSERS["memory"]
_COMMON: dict[str, Parser] = {
    "inputs": _object,
    "resources": _object,
    "mounts": _no_mounts,
    **{name: parse for name, parse in PARSERS.items() if name not in {*_RESOURCES, "pull"}},
}
_BUILD: dict[str, Parser] = {
    "build_args": _strings_by_name,
    "dockerfile": parse_text,
    "context": parse_text,
    "target": parse_text,
    "build_contexts": _contexts,
    "build_secrets": _no_secrets,
}
_BUNDLE_FIELDS: dict[str, Parser] = {
    **_COMMON,
    **_BUILD,
    "bundle": parse_text,
    "image": parse_text,
    "inputs": _object_or_path,
}
_IMAGE_FIELDS: dict[str, Parser] = {
    "image": parse_text,
    "command": _strings,
    "env": _strings_by_name,
    "outputs": _object,
    **_COMMON,
}
_IEXEC_INPUTS = ("args", "input_files", "datasets", "secrets", "app_secret", "callback")
_IEXEC_FIELDS: dict[str, Parser] = {
    **{key: parse for key, parse in _COMMON.items() if key not in ("inputs", "writable_inputs")},
    "bundle": parse_text,
    "image": parse_text,
}


def is_manual(payload: Mapping[str, Any]) -> bool:
    """Whether a task object names neither a bundle nor an image, so that a client completes the task."""
    if "bundle" in payload or (payload.get("profile") == "iexec" and "image" in payload):
        return False
    return not isinstance(payload.get("image"), str) and not {"image", "command"} <= payload.keys()


def field_names(payload: Mapping[str, Any]) -> list[str]:
    """Return the names of the fields that a task object that is not a manual task may have."""
    fields = _BUNDLE_FIELDS if "bundle" in payload else _IMAGE_FIELDS
    return [*(name for name in fields if name != "resources"), *_RESOURCES]


def from_payload(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path] = Path,
    find_file: Callable[[str], Path] | None = None,
    settings: Settings = _NO_SETTINGS,
) -> Request:
    """Read a task object that is not a manual task; `settings` have the options that it leaves open.

    `find_bundle` and `find_file` turn the names of a bundle and of a file into paths.
    Raises `UsageError` with every unknown or invalid field, and as `to_iexec_request`.
    """
    if payload.get("profile") == "iexec" and ("bundle" in payload or "image" in payload):
        return _read_iexec(payload, find_bundle, find_file, settings)
    if "bundle" in payload:
        found = _read(payload, _BUNDLE_FIELDS)
        bundle = find_bundle(found.pop("bundle"))
        folder = found.pop("inputs") if isinstance(found.get("inputs"), str) else None
        request = _request(bundle, _find_build(found, find_file), payload, settings)
        path = None if folder is None else _folder(folder, find_file)
        return request.replace(find_file=find_file, inputs_folder=path)
    from localrun.descriptor.synthetic import describe_image

    found = _read(payload, _IMAGE_FIELDS)
    described = describe_image(found["image"], found.get("inputs", {}), found.pop("outputs", {}))
    # its inputs are those of the object
    request = _request(Path(), {**found, "descriptor": described}, payload, settings)
    return request.replace(default_inputs=NO_DEFAULTS)


def _find_build(found: dict[str, Any], find_file: Callable[[str], Path] | None) -> dict[str, Any]:
    """Turn the names of a Dockerfile and a context into absolute paths."""
    for key in ("dockerfile", "context"):
        if key in found:
            try:
                found[key] = str((find_file or Path)(found[key]).absolute())
            except InputsError as error:
                problems = [Problem(key, problem.message, problem.remedy) for problem in error.problems]
                raise UsageError(f"invalid {key}", remedy=error.remedy, problems=problems) from error
    return found


def _folder(name: str, find_file: Callable[[str], Path] | None) -> Path:
    """Return the folder of inputs. Raises `InputsError` if it is not one or the client may not read it."""
    path = find_file(name.removeprefix("@")) if find_file is not None else Path(name)
    if not path.is_dir():
        problem = Problem("inputs", f"{name!r} is not a folder", "pass a folder of inputs, or an object")
        raise InputsError("invalid inputs (1 problem)", remedy=problem.remedy, problems=[problem])
    return path


def _read_iexec(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path],
    find_file: Callable[[str], Path] | None,
    settings: Settings,
) -> Request:
    from localrun.platforms import iexec

    inputs = iexec.parse_inputs({key: value for key, value in payload.items() if key in _IEXEC_INPUTS})
    if MASK in (*inputs.secrets.values(), inputs.app_secret):  # masked when it was exported
        raise UsageError(
            f"the secrets of the task are masked ({MASK}): they are not stored",
            remedy="submit it again with its secrets",
        )
    found = _read({key: value for key, value in payload.items() if key not in _IEXEC_INPUTS}, _IEXEC_FIELDS)
    del found["profile"]
    bundle = find_bundle(found.pop("bundle")) if "bundle" in found else Path()
    request = _request(bundle, found, redact_secrets(payload), settings)
    return to_iexec_request(request.replace(find_file=find_file), inputs).replace(find_file=None)


def redact_secrets(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task object for the record, with the secrets of an iExec app masked."""
    if payload.get("profile") != "iexec":
        return dict(payload)
    redacted = dict(payload)
    if isinstance(redacted.get("secrets"), dict):
        redacted["secrets"] = dict.fromkeys(redacted["secrets"], MASK)
    if "app_secret" in redacted:
        redacted["app_secret"] = MASK
    return redacted


def _read(payload: Mapping[str, Any], parsers: dict[str, Parser]) -> dict[str, Any]:
    problems: list[Problem] = []
    found = _fields(payload, parsers, "", problems)
    resources = _fields(found.pop("resources", {}), _RESOURCES, "resources.", problems)
    if problems:
        count = format_count(len(problems), "problem")
        raise UsageError(f"invalid task ({count})", remedy="fix the problems listed", problems=problems)
    resources["memory"] = resources.pop("ram", None) or resources.get("memory")
    return found | resources


def _fields(
    given: Mapping[str, Any], parsers: dict[str, Parser], prefix: str, problems: list[Problem]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        parse = parsers.get(key)
        if parse is None:
            problems.append(Problem(f"{prefix}{key}", "unknown field", _remedy(key, parsers)))
            continue
        try:
            found[key] = parse(value)
        except ValueError as error:
            problems.append(Problem(f"{prefix}{key}", str(error)))
    return found


def _request(bundle: Path, found: dict[str, Any], payload: Mapping[str, Any], settings: Settings) -> Request:
    names = {"inputs": "values", "env": "environment"}
    fields = {names.get(key, key): value for key, value in found.items()}
    # the profile decides how the object is read, so it is known here
    completed = with_defaults({"profile": "bundle", **fields}, settings)
    return Request(bundle, **completed, detached=True, wait_for_inputs=True, submitted=payload)


def _remedy(key: str, parsers: Mapping[str, Parser]) -> str:
    limit = closest(key, _RESOURCES) if "resources" in parsers else None
    nested = limit and f"did you mean {limit!r} in 'resources'?"
    return did_you_mean(key, parsers) or nested or f"expected one of: {', '.join(parsers)}"
