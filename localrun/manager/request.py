"""What a user asks for, and how it is read from an object that came as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec.structs import replace

from localrun.bundle.images.ensure import PullPolicy
from localrun.errors import Problem, UsageError
from localrun.masking.masker import MASK
from localrun.suggestions import did_you_mean
from localrun.task.record import ProfileName
from localrun.units import parse_bytes, parse_duration

if TYPE_CHECKING:
    from localrun.platforms.iexec import IexecInputs


class Request(msgspec.Struct, frozen=True):
    """What a user asks for. None: as the descriptor says.

    `bundle` is read from disk; in its place, `image` with a `descriptor` text says all there is.
    `assignments` are `name=VALUE` texts, which are read by the parameter's type and come before
    `values`; `timeout` is in seconds, `memory` in bytes. A detached task outlives its process. A
    patient one with inputs missing waits for them. `find_file` says where a file of `values` is, or
    refuses it: for requests from people who may not read every file that we can.

    `secrets` are variables of the environment whose values are shown nowhere; `downloads` are inputs that
    are fetched: (URL, SHA-256 or nothing) by name. A `bundle` with a `descriptor` text gives its image only.
    What a program must leave says `profile`; an iExec app with a `callback` gives its result to a contract.
    With several `replicas`, `agree` of them (None: all) must give the same.
    """

    bundle: Path
    image: str | None = None
    descriptor: bytes | None = None
    values: Mapping[str, Any] = msgspec.field(default_factory=dict)
    assignments: Sequence[str] = ()
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    command: Sequence[str] | None = None
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    network: bool | None = None
    writable_inputs: bool = False
    hardened: bool = False
    pull: PullPolicy = "missing"
    detached: bool = False
    wait_for_inputs: bool = False
    find_file: Callable[[str], Path] | None = None
    retries: int = 0
    profile: ProfileName = "bundle"
    callback: bool = False
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    downloads: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    warnings: Sequence[str] = ()
    hostname: str = ""
    replicas: int = 1
    agree: int | None = None
    assigned_by: str = ""
    submitted: Mapping[str, Any] | None = None


def parse_iexec_args(given: Mapping[str, Any]) -> IexecInputs:
    """What an iExec app is given. Raises `UsageError` with every key that is unknown or does not fit."""
    from localrun.platforms import iexec

    return iexec.parse_inputs(given)


def to_iexec_request(request: Request, order: IexecInputs, app: str = "") -> Request:
    """The same as a task of iExec's worker: `order` says what its app is given.

    What the request calls its bundle is a folder to build, an image archive, or the name of an image; `app`
    is how the user wrote it, which a `Path` does not keep.
    Raises `UsageError` for values, which an app does not have, and `InputsError` with all that is wrong.
    """
    if request.values or request.assignments:
        raise UsageError(
            "an iExec app has no inputs with names",
            remedy="give it arguments, input files and datasets in their place",
        )
    from localrun.platforms import iexec

    app = app or str(request.bundle)
    place = {} if request.image else resolve_app_image(app)
    given = iexec.prepare(request.image or app, order, request.find_file)
    return replace(
        request,
        **place,
        profile="iexec",
        callback=order.callback,
        descriptor=given.descriptor,
        values=given.files,
        downloads=given.downloads,
        command=given.command,
        environment={**request.environment, **given.environment},
        secrets=given.secrets,
        warnings=given.warnings,
        writable_inputs=True,
    )


def resolve_app_image(text: str) -> dict[str, Any]:
    """Where the image of an app comes from: a folder or a file, or else the engine, by its name."""
    is_path = text.startswith((".", "/", "~")) or text.endswith((".zip", ".tar")) or Path(text).exists()
    return {"bundle": Path(text)} if is_path else {"bundle": Path(), "image": text}


Reader = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def parse_profile(value: Any) -> ProfileName:
    """The name of a profile. Raises ValueError for anything else."""
    if value not in get_args(ProfileName):
        raise ValueError(f"must be one of {', '.join(get_args(ProfileName))}")
    name: ProfileName = value
    return name


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of texts")
    return value


def _environment(value: Any) -> dict[str, str]:
    if not all(isinstance(item, str) for item in _object(value).values()):
        raise ValueError("must be an object of texts")
    return dict(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ValueError("must be a number above 0")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1000:
        raise ValueError("must be a whole number from 0")
    return value


def _replicas(value: Any) -> int:
    if _count(value) == 0:
        raise ValueError("must be a whole number from 1")
    return int(value)


def _seconds(value: Any) -> float:
    return parse_duration(value) if isinstance(value, str) else _number(value)


def _bytes(value: Any) -> int:
    return parse_bytes(value) if isinstance(value, str) else int(_number(value))


_RESOURCES: dict[str, Reader] = {"cpus": _number, "memory": _bytes, "ram": _bytes, "gpus": _count}
_COMMON: dict[str, Reader] = {
    "inputs": _object,
    "resources": _object,
    "timeout": _seconds,
    "network": _flag,
    "hardened": _flag,
    "writable_inputs": _flag,
    "retries": _count,
    "replicas": _replicas,
    "agree": _replicas,
    "profile": parse_profile,
}
_ORDER = ("args", "input_files", "datasets", "secrets", "app_secret", "callback")
_OF_APP: dict[str, Reader] = {
    **{key: reader for key, reader in _COMMON.items() if key not in ("inputs", "writable_inputs")},
    "bundle": _text,
    "image": _text,
}
_OF_BUNDLE: dict[str, Reader] = {"bundle": _text, "image": _text, **_COMMON}
_OF_IMAGE: dict[str, Reader] = {
    "image": _text,
    "command": _texts,
    "env": _environment,
    "outputs": _object,
    **_COMMON,
}


def is_free_form(payload: Mapping[str, Any]) -> bool:
    """Whether a task object names neither a bundle nor an image: it is for whoever completes it."""
    if "bundle" in payload or (payload.get("profile") == "iexec" and "image" in payload):
        return False
    return not isinstance(payload.get("image"), str) and not {"image", "command"} <= payload.keys()


def from_payload(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path] = Path,
    find_file: Callable[[str], Path] | None = None,
) -> Request:
    """Read a task object that is not free-form.

    `find_bundle` and `find_file` turn the names of a bundle and of a file into paths.
    Raises `UsageError` with every key that is unknown or ill-typed, and what `for_iexec` raises.
    """
    if payload.get("profile") == "iexec" and ("bundle" in payload or "image" in payload):
        return _of_app(payload, find_bundle, find_file)
    if "bundle" in payload:
        found = _read(payload, _OF_BUNDLE)
        made = _request(find_bundle(found.pop("bundle")), found, payload)
        return replace(made, find_file=find_file)
    found = _read(payload, _OF_IMAGE)
    described = describe(found["image"], found.get("inputs", {}), found.pop("outputs", {}))
    return _request(Path(), {**found, "descriptor": described}, payload)


def _of_app(
    payload: Mapping[str, Any],
    find_bundle: Callable[[str], Path],
    find_file: Callable[[str], Path] | None,
) -> Request:
    order = parse_iexec_args({key: value for key, value in payload.items() if key in _ORDER})
    _refuse_hidden(order)
    found = _read({key: value for key, value in payload.items() if key not in _ORDER}, _OF_APP)
    del found["profile"]
    bundle = find_bundle(found.pop("bundle")) if "bundle" in found else Path()
    made = _request(bundle, found, redact_secrets(payload))
    return replace(to_iexec_request(replace(made, find_file=find_file), order), find_file=None)


def _refuse_hidden(order: IexecInputs) -> None:
    """A task that was exported and comes back has no secrets any more."""
    if MASK in (*order.secrets.values(), order.app_secret):
        raise UsageError(
            f"the secrets of the task are hidden ({MASK}): they are not kept with it",
            remedy="submit it again with its secrets",
        )


def redact_secrets(payload: Mapping[str, Any]) -> dict[str, Any]:
    """A task object as it may be kept; that of an iExec app without the values of its secrets."""
    if payload.get("profile") != "iexec":
        return dict(payload)
    kept = dict(payload)
    if isinstance(kept.get("secrets"), dict):
        kept["secrets"] = dict.fromkeys(kept["secrets"], MASK)
    if "app_secret" in kept:
        kept["app_secret"] = MASK
    return kept


def _read(payload: Mapping[str, Any], readers: dict[str, Reader]) -> dict[str, Any]:
    problems: list[Problem] = []
    found = _fields(payload, readers, "", problems)
    resources = _fields(found.pop("resources", {}), _RESOURCES, "resources.", problems)
    if problems:
        count = "a key does" if len(problems) == 1 else f"{len(problems)} keys do"
        raise UsageError(f"{count} not fit", remedy="correct what is listed", problems=problems)
    resources["memory"] = resources.pop("ram", None) or resources.get("memory")
    return found | resources


def _fields(
    given: Mapping[str, Any], readers: dict[str, Reader], prefix: str, problems: list[Problem]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        reader = readers.get(key)
        if reader is None:
            remedy = did_you_mean(key, readers) or f"there are {', '.join(readers)}"
            problems.append(Problem(f"{prefix}{key}", "is no key of a task", remedy))
            continue
        try:
            found[key] = reader(value)
        except ValueError as error:
            problems.append(Problem(f"{prefix}{key}", f"{error} (it is {value!r})"))
    return found


def _request(bundle: Path, found: dict[str, Any], payload: Mapping[str, Any]) -> Request:
    names = {"inputs": "values", "env": "environment"}
    fields = {names.get(key, key): value for key, value in found.items()}
    return replace(Request(bundle), **fields, detached=True, wait_for_inputs=True, submitted=payload)


_TYPES: list[tuple[type, str]] = [(bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")]


def describe(image: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> bytes:
    """A descriptor for a bare image: each input has the type of its value, each output the one it names.

    JSON is YAML, so the text is both.
    """
    import json

    parameters = {name: _parameter(name, _type_of(name, value)) for name, value in inputs.items()}
    results = {name: _parameter(name, kind) for name, kind in outputs.items()}
    author = {"first_name": "-", "last_name": "-", "organization": "-", "email": "nobody@example.com"}
    described = {
        "$schema": "https://cytomine.com/schema-store/tasks/task.v0.json",
        "name": "Image",
        "name_short": "image",
        "version": "0.0.0",
        "namespace": "local.image",
        "description": f"the image {image}",
        "authors": [author],
        "configuration": {
            "input_folder": "/inputs",
            "output_folder": "/outputs",
            "image": {"file": "/image.tar"},
        },
        "inputs": parameters,
        "outputs": results,
    }
    return json.dumps(described, indent=1).encode()


def _parameter(name: str, kind: Any) -> dict[str, Any]:
    return {"type": kind, "display_name": name, "description": name}


def _type_of(name: str, value: Any) -> Any:
    for form, kind in _TYPES:
        if isinstance(value, form):
            return kind
    if isinstance(value, list) and value:
        return {"id": "array", "subtype": _type_of(name, value[0])}
    raise UsageError(
        "an input does not fit",
        remedy="give a text, a number, true, false, or a list of one of them",
        problems=[Problem(f"inputs.{name}", f"has no type that a file can hold (it is {value!r})")],
    )
