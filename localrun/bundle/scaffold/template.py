"""A new bundle that runs as it is: descriptor, Dockerfile, program, example, test."""

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
_STANDARD = (["a:integer", "b:integer"], ["sum:integer"])
_NAMESPACE = "com.example"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a new bundle by their paths, and what App Engine would not take of it."""

    files: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()


def render(
    name: str, inputs: Sequence[str] = (), outputs: Sequence[str] = (), namespace: str = ""
) -> Scaffold:
    """Say what a new bundle consists of; `inputs` and `outputs` are `name:type` texts.

    Without any it adds two integers. Raises `UsageError` with everything that is wrong.
    """
    takes, gives = _wishes(inputs, outputs)
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "task"
    title = re.sub(r"[^a-zA-Z0-9_-]+", " ", name).strip()[:30]
    names = {
        "name": json.dumps(title if len(title) >= 3 else f"Task {title}".strip()),
        "slug": json.dumps(slug),
        "title": title or slug,
        "namespace": namespace or f"{_NAMESPACE}.{slug}",
    }
    files = _files(names, takes, gives)
    return Scaffold(files, _checked(files["descriptor.yml"]))


def _wishes(inputs: Sequence[str], outputs: Sequence[str]) -> tuple[list[ParameterSpec], list[ParameterSpec]]:
    problems: list[Problem] = []
    if not inputs and not outputs:
        inputs, outputs = _STANDARD
    takes = parse(inputs, "--input", problems)
    gives = parse(outputs, "--output", problems)
    if problems:
        count = "a parameter does" if len(problems) == 1 else f"{len(problems)} parameters do"
        raise UsageError(f"{count} not fit", remedy="correct what is listed", problems=problems)
    # App Engine starts no task without inputs, and a task without outputs is of no use
    takes = takes or [ParameterSpec("text", parse_type("string"))]
    return takes, gives or [ParameterSpec("result", takes[0].type)]


def _checked(data: bytes) -> tuple[str, ...]:
    """Read the new descriptor as any other one."""
    try:
        found = descriptor.read(data)
    except DescriptorError as error:
        problems = [Problem(one.path, one.message, one.remedy) for one in error.problems]
        raise UsageError("the bundle cannot be described", remedy=error.remedy, problems=problems) from error
    return tuple(f"{one.path}: {one.message}; {one.remedy}" for one in found.warnings)


def _files(
    names: Mapping[str, str], takes: list[ParameterSpec], gives: list[ParameterSpec]
) -> dict[str, bytes]:
    results = {wish.name: example_result(wish, takes) for wish in gives}
    expected = {wish.name: results[wish.name][1] for wish in gives if not holds_files(wish.type)}
    kinds = {_innermost(wish.type) for wish in takes}
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


def _parameters(wishes: list[ParameterSpec], what: str) -> str:
    return "\n".join(
        f"  {_word(wish.name)}:\n"
        f"    display_name: {json.dumps(wish.name.replace('_', ' ').strip().capitalize() or wish.name)}\n"
        f"    description: {json.dumps(f'Say here what this {what} is.')}\n"
        f"    type: {_flow(wish.type)}"
        for wish in wishes
    )


def _word(name: str) -> str:
    """A key that YAML could take for something else than text gets quotes."""
    return (
        name
        if re.fullmatch(r"[a-zA-Z_]\w{2,}|[a-xA-XzZ_]", name) and name.lower() not in _TAKEN
        else json.dumps(name)
    )


_TAKEN = ("true", "false", "yes", "no", "on", "off", "null", "n", "y")


def _flow(value: Any) -> str:
    """A type in YAML's short form."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inner(key, item)}" for key, item in value.items()) + "}"
    return str(value)


def _inner(key: str, value: Any) -> str:
    return json.dumps(value) if key == "values" else _flow(value)


# -- the program ----------------------------------------------------------------------------------


def _program(
    names: Mapping[str, str], takes: list[ParameterSpec], gives: list[ParameterSpec], code: Mapping[str, str]
) -> bytes:
    readers = {wish.name: _function("read", wish.type) for wish in takes}
    writers = {wish.name: _function("write", wish.type) for wish in gives}
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
    """Import what the code of the results needs."""
    needed = [("from base64 import b64decode", "b64decode("), ("from datetime import datetime", "datetime.")]
    lines = [line for line, sign in needed if sign in code]
    path = "from pathlib import Path\n"
    return text.replace(path, "".join(f"{line}\n" for line in lines) + path, 1)


# -- on disk --------------------------------------------------------------------------------------


def write(scaffold: Scaffold, folder: Path) -> None:
    """Write the files into a folder that is not there yet or is empty; all of them or none.

    Raises `UsageError`.
    """
    folder = folder.absolute()
    try:
        _refuse_filled(folder)
        with fs.atomic_file(folder) as temp:
            for name, data in scaffold.files.items():
                path = temp / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written: {error.strerror}", remedy="give another name", path=str(folder)
        ) from error


def _refuse_filled(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        what = "is not empty" if folder.is_dir() else "is there, and no folder"
        raise UsageError(f"{folder} {what}", remedy="give another name, or remove it", path=str(folder))
    if not folder.parent.is_dir():
        raise UsageError(
            f"there is no folder {folder.parent}", remedy="make it first", path=str(folder.parent)
        )
