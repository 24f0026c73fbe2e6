"""The options of `submit` and `rerun`: validate them, and turn them into fields of a request."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun.bundle.images.build_options import check_context, parse_secrets
from localrun.errors import Problem, UsageError
from localrun.task.bind_mounts import parse_mounts
from localrun.task.options import parse_options
from localrun.units import format_count

Place = str | os.PathLike[str]
_INPUT_HINT = 'pass an input of this name as inputs={{"{}": ...}}'


def option_names(function: Callable[..., Any]) -> list[str]:
    """Return the names of the options of a function."""
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]


def parse_submission(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request for the options of `submit`. Raises `UsageError` with all problems."""
    problems: list[Problem] = []
    options = parse_options(given, problems) | _parse_build(given, problems)
    try:
        options["bind_mounts"] = parse_mounts(given["mounts"])
    except ValueError as error:
        problems.append(Problem("mounts", str(error), _INPUT_HINT.format("mounts")))
    if problems:
        count = format_count(len(problems), "problem")
        raise UsageError(f"invalid options ({count})", remedy="fix the problems listed", problems=problems)
    return options


def _parse_build(given: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the fields of the request for a build, with absolute paths. Adds to `problems`."""
    found: dict[str, Any] = {name: dict(given[name] or {}) for name in ("build_args", "build_contexts")}
    found["image"] = given["use_image"]
    for name in ("dockerfile", "context"):
        if isinstance(given[name], (str, os.PathLike)):
            found[name] = os.path.abspath(given[name])  # noqa: PTH100 - keeps links
        elif given[name] is not None:
            problems.append(
                Problem(name, f"expected a path, found {given[name]!r}", _INPUT_HINT.format(name))
            )
    found["target"] = target = given["target"] or ""
    if not isinstance(target, str):
        hint = _INPUT_HINT.format("target")
        problems.append(Problem("target", f"expected the name of a stage, found {target!r}", hint))
    for name, reference in found["build_contexts"].items():
        try:
            check_context(name, reference)
        except ValueError as error:
            problems.append(Problem("build_contexts", str(error)))
    try:
        found["build_secrets"] = parse_secrets(given["build_secrets"], os.environ)
    except ValueError as error:
        problems.append(Problem("build_secrets", str(error)))
    return found


def plain(value: Any) -> Any:
    """Return a value with the Python values of NumPy's scalars and arrays, and of data frames."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "ndim") else value


def split_inputs(
    inputs: Mapping[str, Any] | Place | None, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Path | None]:
    """Return the inputs by name, and the folder of inputs. Raises `InputsError` for an unreadable file."""
    if inputs is None or isinstance(inputs, Mapping):
        return {name: plain(value) for name, value in {**values, **(inputs or {})}.items()}, None
    path = Path(inputs).expanduser()
    values = {name: plain(value) for name, value in values.items()}
    if path.is_dir():
        return values, path
    from localrun.manager.inputs import override
    from localrun.values import load_values

    return override(load_values(path), values), None
