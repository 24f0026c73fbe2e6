"""Reading a task from a JSON object, as the HTTP API gets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from msgspec.structs import replace

from localrun.errors import Problem, UsageError
from localrun.manager.request import Request, parse_iexec_args, to_iexec_request
from localrun.masking.masker import MASK
from localrun.suggestions import did_you_mean
from localrun.task.record import ProfileName
from localrun.units import parse_bytes, parse_duration

if TYPE_CHECKING:
    from localrun.platforms.iexec import IexecInputs

Parser = Callable[[Any], Any]


def _expected(what: str, value: Any) -> ValueError:
    return ValueError(f"expected {what}, found {value!r}")


def _string(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _expected("a non-empty string", value)
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("true or false", value)
    return value


def parse_profile(value: Any) -> ProfileName:
    """Return the name of a profile. Raises ValueError for any other value."""
    if value not in get_args(ProfileName):
        raise _expected(f"one of {', '.join(get_args(ProfileName))}", value)
    name: ProfileName = value
    return name


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _expected("an object", value)
    return value


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _expected("a list of strings", value)
    return value


def _environment(value: Any) -> dict[str, str]:
    if not all(isinstance(item, str) for item in _object(value).values()):
        raise _expected("an object of strings", value)
    return dict(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise _expected("a number above 0", value)
    return float(value)


def _count(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1000:
        raise _expected(f"an integer from {least} to 999", value)
    return value


def _replicas(value: Any) -> int:
    return _count(value, 1)


def _seconds(value: Any) -> float:
    return parse_duration(value) if isinstance(value, str) else _number(value)


def _bytes(value: Any) -> int:
    return parse_bytes(value) if isinstance(value, str) else int(_number(value))


_RESOURCES: dict[str, Parser] = {"cpus": _number, "memory": _bytes, "ram": _bytes, "gpus": _count}
_COMMON: dict[str, Parser] = {
    "inputs": _object,
    "resources": _object,
    "timeout": _seconds,
    "network": _boolean,
    "hardened": _boolean,
    "writable_inputs": _boolean,
    "retries": _count,
    "replicas": _replicas,
    "agree": _replicas,
    "profile": parse_profile,
}
_BUNDLE_FIELDS: dict[str, Parser] = {"bundle": _string, "image": _string, **_COMMON}
_IMAGE_FIELDS: dict[str, Parser] = {
    "image": _string,
    "command": _strings,
    "env": _environment,
    "outputs": _object,
    **_COMMON,
}
_IEXEC_INPUTS = ("args", "input_files", "datasets", "secrets", "app_secret", "callback")
_IEXEC_FIELDS: dict[str, Parser] = {
    **{key: parse for key, parse in _COMMON.items() if key not in ("inputs", "writable_inputs")},
    "bundle": _string,
    "image": _string,
}


def is_manual(payload: Mapping[str, Any]) -> bool:
    """Whether a task object names neither a bundle nor an image, so that a client completes the task."""
    if "bundle" in payload or (payload.get("profile") == "iexec" and "image" in payload):
        return False
    return not isinstance(payload.get("image"), str) and not {"image", "command"} <= payload.keys()


def from_payload(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path] = Path,
    find_file: Callable[[str], Path] | None = None,
) -> Request:
    """Read a task object that is not a manual task.

    `find_bundle` and `find_file` turn the names of a bundle and of a file into paths.
    Raises `UsageError` with every unknown or invalid field, and as `to_iexec_request`.
    """
    if payload.get("profile") == "iexec" and ("bundle" in payload or "image" in payload):
        return _read_iexec(payload, find_bundle, find_file)
    if "bundle" in payload:
        found = _read(payload, _BUNDLE_FIELDS)
        request = _request(find_bundle(found.pop("bundle")), found, payload)
        return replace(request, find_file=find_file)
    from localrun.descriptor.synthetic import describe_image

    found = _read(payload, _IMAGE_FIELDS)
    described = describe_image(found["image"], found.get("inputs", {}), found.pop("outputs", {}))
    return _request(Path(), {**found, "descriptor": described}, payload)


def _read_iexec(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path],
    find_file: Callable[[str], Path] | None,
) -> Request:
    inputs = parse_iexec_args({key: value for key, value in payload.items() if key in _IEXEC_INPUTS})
    _refuse_masked(inputs)
    found = _read({key: value for key, value in payload.items() if key not in _IEXEC_INPUTS}, _IEXEC_FIELDS)
    del found["profile"]
    bundle = find_bundle(found.pop("bundle")) if "bundle" in found else Path()
    request = _request(bundle, found, redact_secrets(payload))
    return replace(to_iexec_request(replace(request, find_file=find_file), inputs), find_file=None)


def _refuse_masked(inputs: IexecInputs) -> None:
    """Raise `UsageError` for a task whose secrets were masked when it was exported."""
    if MASK in (*inputs.secrets.values(), inputs.app_secret):
        raise UsageError(
            f"the secrets of the task are masked ({MASK}): they are not stored",
            remedy="submit it again with its secrets",
        )


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
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UsageError(f"invalid task ({count})", remedy="correct the listed fields", problems=problems)
    resources["memory"] = resources.pop("ram", None) or resources.get("memory")
    return found | resources


def _fields(
    given: Mapping[str, Any], parsers: dict[str, Parser], prefix: str, problems: list[Problem]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        parse = parsers.get(key)
        if parse is None:
            remedy = did_you_mean(key, parsers) or f"expected one of: {', '.join(parsers)}"
            problems.append(Problem(f"{prefix}{key}", "unknown field", remedy))
            continue
        try:
            found[key] = parse(value)
        except ValueError as error:
            problems.append(Problem(f"{prefix}{key}", str(error)))
    return found


def _request(bundle: Path, found: dict[str, Any], payload: Mapping[str, Any]) -> Request:
    names = {"inputs": "values", "env": "environment"}
    fields = {names.get(key, key): value for key, value in found.items()}
    return replace(Request(bundle), **fields, detached=True, wait_for_inputs=True, submitted=payload)
