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
    example_files,
    example_inputs,
    example_result,
    holds_files,
    item_type,
)
from localrun.bundle.scaffold.grammar import ParameterSpec, Type, parse
from localrun.bundle.scaffold.packages import parse_packages
from localrun.errors import DescriptorError, Problem, UsageError
from localrun.units import format_count

__all__ = ["Scaffold", "render", "render_app", "write"]

_TEMPLATES = Path(__file__).parent / "templates"
_DEFAULT = (["a:integer", "b:integer"], ["sum:integer"])
_ROW = "\n| `requirements.txt` | the Python packages that the image installs |"
_YAML_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "n", "y")

Specs = list[ParameterSpec]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a new bundle by path, and App Engine's objections to it."""

    files: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()


def render(
    name: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    namespace: str = "",
    packages: Sequence[str] = (),
) -> Scaffold:
    """Return the files of a new bundle. `inputs` and `outputs` are `name:type` strings.

    Without inputs and outputs, the bundle adds two integers. `packages` are Python packages that its image
    installs, as in `requirements.txt`. Raises `UsageError` with all problems.
    """
    problems: list[Problem] = []
    requirements = parse_packages(packages, problems)
    input_specs, output_specs = _specs(inputs, outputs, problems)
    names = _names(name, namespace)
    files = {**_files(names, input_specs, output_specs, bool(requirements)), **_requirements(requirements)}
    return Scaffold(files, _validate(files["descriptor.yml"]))


def render_app(name: str, packages: Sequence[str] = ()) -> Scaffold:
    """Return the files of a new iExec app. Raises `UsageError` with every invalid package."""
    problems: list[Problem] = []
    requirements = parse_packages(packages, problems)
    _raise_if(problems)
    names = {**_names(name, ""), "requirements": _ROW if requirements else ""}
    files = {
        "Dockerfile": _dockerfile(bool(requirements)),
        ".dockerignore": _fill_template("dockerignore", None),
        "program/main.py": _fill_template("iexec_main.py", names),
        "examples/lines.txt": b"one\ntwo\nthree\n",
        "tests/test_app.py": _fill_template("iexec_test_app.py", None),
        "pyproject.toml": _fill_template("pyproject.toml", names),
        "README.md": _fill_template("iexec_README.md", names),
    }
    return Scaffold({**files, **_requirements(requirements)})


def _names(name: str, namespace: str) -> dict[str, str]:
    """Return what templates are filled with."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "task"
    title = re.sub(r"[^a-zA-Z0-9_-]+", " ", name).strip()[:30]
    return {
        "name": json.dumps(title if len(title) >= 3 else f"Task {title}".strip()),
        "slug": json.dumps(slug),
        "project": json.dumps(slug.replace("_", "-")),
        "title": title or slug,
        "namespace": namespace or f"com.example.{slug}",
    }


def _requirements(packages: Sequence[str]) -> dict[str, bytes]:
    return {"requirements.txt": "".join(f"{package}\n" for package in packages).encode()} if packages else {}


def _specs(inputs: Sequence[str], outputs: Sequence[str], problems: list[Problem]) -> tuple[Specs, Specs]:
    if not inputs and not outputs:
        inputs, outputs = _DEFAULT
    input_specs = parse(inputs, "--input", problems)
    output_specs = parse(outputs, "--output", problems)
    _raise_if(problems)
    # App Engine cannot run a task without inputs, and a task without outputs is useless
    input_specs = input_specs or [ParameterSpec("text", "string")]
    return input_specs, output_specs or [ParameterSpec("result", input_specs[0].type)]


def _raise_if(problems: Sequence[Problem]) -> None:
    if problems:
        of_packages = all(one.path.startswith("--with") for one in problems)
        what = "invalid packages" if of_packages else "invalid parameters"
        message = f"{what} ({format_count(len(problems), 'problem')})"
        raise UsageError(message, remedy="fix the problems listed", problems=problems)


def _validate(data: bytes) -> tuple[str, ...]:
    """Return the warnings of the new descriptor. Raises `UsageError` if it is invalid."""
    try:
        found = descriptor.read(data)
    except DescriptorError as error:
        problems = [Problem(one.path, one.message, one.remedy) for one in error.problems]
        raise UsageError("the descriptor would be invalid", remedy=error.remedy, problems=problems) from error
    return tuple(f"{one.path}: {one.message}; {one.remedy}" for one in found.warnings)


def _files(names: Mapping[str, str], inputs: Specs, outputs: Specs, packages: bool) -> dict[str, bytes]:
    results = {spec.name: example_result(spec, inputs) for spec in outputs}
    expected = {spec.name: results[spec.name][1] for spec in outputs if not holds_files(spec.type)}
    code = {name: text for name, (text, _) in results.items()}
    sections = {"inputs": _parameters(inputs, "input"), "outputs": _parameters(outputs, "output")}
    places = {**names, "requirements": _ROW if packages else ""}
    return {
        "descriptor.yml": _fill_template("descriptor.yml", {**names, **sections}),
        "Dockerfile": _dockerfile(packages),
        ".dockerignore": _fill_template("dockerignore", None),
        "program/main.py": _program(names, inputs, outputs, code),
        "program/parameters.py": _fill_template("parameters.py", None),
        "inputs.json": _json(example_inputs(inputs)),
        "expected.json": _json(expected),
        "tests/test_task.py": _fill_template("test_task.py", None),
        "pyproject.toml": _fill_template("pyproject.toml", names),
        "README.md": _fill_template("README.md", places),
        **example_files(inputs),
    }


def _dockerfile(packages: bool) -> bytes:
    return _fill_template("Dockerfile.packages" if packages else "Dockerfile", None)


def _fill_template(template: str, names: Mapping[str, str] | None) -> bytes:
    text = (_TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
    return (text if names is None else Template(text).substitute(names)).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _parameters(specs: Specs, what: str) -> str:
    return "\n".join(
        f"  {_yaml_key(spec.name)}:\n"
        f"    display_name: {json.dumps(spec.name.replace('_', ' ').strip().capitalize() or spec.name)}\n"
        f"    description: {json.dumps(f'Describe this {what} here.')}\n"
        f"    type: {_flow_style(spec.type)}"
        for spec in specs
    )


def _yaml_key(name: str) -> str:
    """Return a YAML key, in quotes if YAML would not read it as a string."""
    is_plain = re.fullmatch(r"[a-zA-Z_]\w{2,}|[a-xA-XzZ_]", name) and name.lower() not in _YAML_WORDS
    return name if is_plain else json.dumps(name)


def _flow_style(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow_style(item)}" for key, item in value.items()) + "}"
    return json.dumps(value) if isinstance(value, list) else str(value)


def _program(names: Mapping[str, str], inputs: Specs, outputs: Specs, code: Mapping[str, str]) -> bytes:
    readers = {spec.name: _function("read", spec.type) for spec in inputs}
    writers = {spec.name: _function("write", spec.type) for spec in outputs}
    used = {word for text in (*readers.values(), *writers.values()) for word in re.findall(r"\w+", text)}
    filled = {
        "title": names["title"],
        "imported": ", ".join(sorted(used)),
        "readers": _entries(readers, 4),
        "writers": _entries(writers, 4),
        "results": _entries(code, 8),
    }
    return _with_imports(_fill_template("main.py", filled).decode(), "\n".join(code.values())).encode()


def _function(verb: str, kind: Type) -> str:
    if isinstance(kind, dict) and "subtype" in kind:
        return f"{verb}_array({_function(verb, kind['subtype'])})"
    return f"{verb}_{item_type(kind)}"


def _entries(found: Mapping[str, str], indent: int) -> str:
    return "\n".join(f'{" " * indent}"{name}": {text},' for name, text in found.items())


def _with_imports(text: str, code: str) -> str:
    """Add the imports that the code of the results needs."""
    needed = [("from base64 import b64decode", "b64decode("), ("from datetime import datetime", "datetime.")]
    path = "from pathlib import Path"
    imports = [line for line, sign in needed if sign in code]
    return text.replace(path, "\n".join([*imports, path]), 1)


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
        message = f"cannot write to {folder}: {error.strerror}"
        raise UsageError(message, remedy="choose another folder", path=str(folder)) from error


def _check_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        return
    if os.path.lexists(folder):
        what = "is not empty" if folder.is_dir() else "already exists and is not a folder"
        raise UsageError(f"{folder} {what}", remedy="choose another name, or remove it", path=str(folder))
    if not folder.parent.is_dir():
        message = f"no such folder: {folder.parent}"
        raise UsageError(message, remedy="create it first", path=str(folder.parent))
