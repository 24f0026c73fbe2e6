"""Generate a bundle that runs without changes: descriptor, Dockerfile, program, example and test."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from localrun import descriptor, fs
from localrun.bundle.scaffold.examples import (
    EXAMPLE_FILES,
    example_inputs,
    example_result,
    holds_files,
    type_id,
)
from localrun.bundle.scaffold.grammar import ParameterSpec, Type, parse, parse_type
from localrun.errors import DescriptorError, Problem, UsageError

__all__ = ["Scaffold", "render", "write"]

_TEMPLATES = Path(__file__).parent / "templates"
_DEFAULT = (["a:integer", "b:integer"], ["sum:integer"])
_NAMESPACE = "com.example"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a new bundle by path, and App Engine's objections to it."""

    files: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()


def render(
    name: str, inputs: Sequence[str] = (), outputs: Sequence[str] = (), namespace: str = ""
) -> Scaffold:
    """Return the files of a new bundle. `inputs` and `outputs` are `name:type` strings.

    Without inputs and outputs, the bundle adds two integers. Raises `UsageError` with all problems.
    """
    takes, gives = _specs(inputs, outputs)
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "task"
    title = re.sub(r"[^a-zA-Z0-9_-]+", " ", name).strip()[:30]
    names = {
        "name": json.dumps(title if len(title) >= 3 else f"Task {title}".strip()),
        "slug": json.dumps(slug),
        "title": title or slug,
        "namespace": namespace or f"{_NAMESPACE}.{slug}",
    }
    files = _files(names, takes, gives)
    return Scaffold(files, _validate(files["descriptor.yml"]))


def _specs(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[list[ParameterSpec], list[ParameterSpec]]:
    problems: list[Problem] = []
    if not inputs and not outputs:
        inputs, outputs = _DEFAULT
    takes = parse(inputs, "--input", problems)
    gives = parse(outputs, "--output", problems)
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise UsageError(f"invalid parameters ({count})", remedy="fix the problems listed", problems=problems)
    # App Engine cannot run a task without inputs, and a task without outputs is useless
    takes = takes or [ParameterSpec("text", parse_type("string"))]
    return takes, gives or [ParameterSpec("result", takes[0].type)]


def _validate(data: bytes) -> tuple[str, ...]:
    """Return the warnings of the new descriptor. Raises `UsageError` if it is invalid."""
    try:
        found = descriptor.read(data)
    except DescriptorError as error:
        problems = [Problem(one.path, one.message, one.remedy) for one in error.problems]
        raise UsageError("the descriptor would be invalid", remedy=error.remedy, problems=problems) from error
    return tuple(f"{one.path}: {one.message}; {one.remedy}" for one in found.warnings)


def _files(
    names: Mapping[str, str], takes: list[ParameterSpec], gives: list[ParameterSpec]
) -> dict[str, bytes]:
    results = {spec.name: example_result(spec, takes) for spec in gives}
    expected = {spec.name: results[spec.name][1] for spec in gives if not holds_files(spec.type)}
    kinds = {_innermost(spec.type) for spec in takes}
    examples = dict(EXAMPLE_FILES[kind] for kind in sorted(kinds & set(EXAMPLE_FILES)))
    code = {name: text for name, (text, _) in results.items()}
    places = {**names, "examples": ", `examples/`" if examples else ""}
    return {
        "descriptor.yml": _descriptor(names, takes, gives),
        "Dockerfile": _filled("Dockerfile", None),
        ".dockerignore": _filled("dockerignore", None),
        "program/main.py": _program(names, takes, gives, code),
        "program/parameters.py": _filled("parameters.py", None),
        "inputs.json": _json(example_inputs(takes)),
        "expected.json": _json(expected),
        "tests/test_task.py": _filled("test_task.py", None),
        "README.md": _filled("README.md", places),
        **examples,
    }


def _filled(template: str, names: Mapping[str, str] | None) -> bytes:
    text = (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
    return (text if names is None else Template(text).substitute(names)).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _innermost(kind: Type) -> str:
    return _innermost(kind["subtype"]) if isinstance(kind, dict) and "subtype" in kind else type_id(kind)


# -- the descriptor -------------------------------------------------------------------------------


def _descriptor(names: Mapping[str, str], takes: list[ParameterSpec], gives: list[ParameterSpec]) -> bytes:
    sections = {"inputs": _parameters(takes, "input"), "outputs": _parameters(gives, "output")}
    return _filled("descriptor.yml", {**names, **sections})


def _parameters(specs: list[ParameterSpec], what: str) -> str:
    return "\n".join(
        f"  {_word(spec.name)}:\n"
        f"    display_name: {json.dumps(spec.name.replace('_', ' ').strip().capitalize() or spec.name)}\n"
        f"    description: {json.dumps(f'Describe this {what} here.')}\n"
        f"    type: {_flow(spec.type)}"
        for spec in specs
    )


def _word(name: str) -> str:
    """Return a YAML key, in quotes if YAML would not read it as a string."""
    return (
        name
        if re.fullmatch(r"[a-zA-Z_]\w{2,}|[a-xA-XzZ_]", name) and name.lower() not in _TAKEN
        else json.dumps(name)
    )


_TAKEN = ("true", "false", "yes", "no", "on", "off", "null", "n", "y")


def _flow(value: Any) -> str:
    """Return a type in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inner(key, item)}" for key, item in value.items()) + "}"
    return str(value)


def _inner(key: str, value: Any) -> str:
    return json.dumps(value) if key == "values" else _flow(value)


# -- the program ----------------------------------------------------------------------------------


def _program(
    names: Mapping[str, str], takes: list[ParameterSpec], gives: list[ParameterSpec], code: Mapping[str, str]
) -> bytes:
    readers = {spec.name: _function("read", spec.type) for spec in takes}
    writers = {spec.name: _function("write", spec.type) for spec in gives}
    used = {word for text in (*readers.values(), *writers.values()) for word in re.findall(r"\w+", text)}
    filled = {
        "title": names["title"],
        "imported": ", ".join(sorted(used)),
        "readers": _entries(readers, 4),
        "writers": _entries(writers, 4),
        "results": _entries(code, 8),
    }
    return _with_imports(_filled("main.py", filled).decode(), "\n".join(code.values())).encode()


def _function(verb: str, kind: Type) -> str:
    if type_id(kind) == "array":
        assert isinstance(kind, dict)
        return f"{verb}_array({_function(verb, kind['subtype'])})"
    return f"{verb}_{type_id(kind)}"


def _entries(found: Mapping[str, str], indent: int) -> str:
    return "\n".join(f'{" " * indent}"{name}": {text},' for name, text in found.items())


def _with_imports(text: str, code: str) -> str:
    """Add the imports that the code of the results needs."""
    needed = [("from base64 import b64decode", "b64decode("), ("from datetime import datetime", "datetime.")]
    lines = [line for line, sign in needed if sign in code]
    path = "from pathlib import Path\n"
    return text.replace(path, "".join(f"{line}\n" for line in lines) + path, 1)


# -- on disk --------------------------------------------------------------------------------------


def write(scaffold: Scaffold, folder: Path) -> None:
    """Write all files into a new or empty folder, or none of them.

    Raises `UsageError` if the folder is not empty or cannot be written.
    """
    folder = folder.absolute()
    try:
        _check_empty(folder)
        with fs.atomic_file(folder) as temp:
            for name, data in scaffold.files.items():
                path = temp / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}", remedy="choose another folder", path=str(folder)
        ) from error


def _check_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        what = "is not empty" if folder.is_dir() else "already exists and is not a folder"
        raise UsageError(f"{folder} {what}", remedy="choose another name, or remove it", path=str(folder))
    if not folder.parent.is_dir():
        raise UsageError(
            f"no such folder: {folder.parent}", remedy="create it first", path=str(folder.parent)
        )
