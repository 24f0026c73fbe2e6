"""Read a descriptor and report all of its problems at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from localrun.descriptor.model import Author, Descriptor, ResourceRequest
from localrun.descriptor.node import DescriptorNode, DescriptorReport
from localrun.descriptor.parameters import check_references, read_parameters
from localrun.descriptor.types import format_value, memory
from localrun.descriptor.yaml import Document, DocumentError
from localrun.descriptor.yaml import read as read_document
from localrun.errors import DescriptorError, Problem, fold
from localrun.units import format_count

MAX_BYTES = 1024**2

T = TypeVar("T")

REQUIRED = ("$schema", "name", "namespace", "version", "authors", "configuration", "inputs", "outputs")
_KNOWN = {*REQUIRED, "name_short", "description", "external"}
_AUTHOR = ("first_name", "last_name", "organization", "email")

_KERNEL_FOLDERS = ("proc", "sys", "dev")  # kernel file systems of every container: no mounts below them
_LINE_END = r"\r\n|[\n\r\x85\u2028\u2029]"  # as YAML counts lines

# patterns that `json_schema` uses too
_NUMERIC = r"(0|[1-9][0-9]*)"
_LABEL = rf"({_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = r"[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*"
VERSION = rf"{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}(-{_LABEL}(\.{_LABEL})*)?(\+{_BUILD})?"
NAMESPACE = r"[a-zA-Z0-9_]*(\.[a-zA-Z0-9_-]+)+"
URI = r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`]*"
EMAIL = r"[^@\s]+@[^@\s]+"


def read(
    data: bytes, file: str = "descriptor.yml", parse: Callable[[bytes, str], Document] = read_document
) -> Descriptor:
    """Read a descriptor. `file` is its name in messages, and `parse` reads the YAML.

    Raises `DescriptorError` with all problems, each with its line and column.
    """
    if len(data) > MAX_BYTES:
        message = f"too large: {len(data)} bytes (maximum {MAX_BYTES})"
        raise _error(file, [Problem("", message, "check that this is the right file", file=file)])
    try:
        document = parse(data, file)
    except DocumentError as error:
        raise _error(file, _with_lines([error.problem], data)) from None
    report = DescriptorReport(file)
    report.warnings += document.warnings
    fields = _descriptor(DescriptorNode(document.root, "", report))
    warnings = fold(_with_lines(report.warnings, data), "warning")
    if report.problems:
        raise _error(file, _with_lines(report.problems, data), warnings)
    notes = fold(_with_lines(report.notes, data), "note")
    return Descriptor(**fields, warnings=warnings, notes=notes, source=data)


def _with_lines(problems: list[Problem], data: bytes) -> list[Problem]:
    """Return the problems sorted by position, each with its source line."""
    if not problems:
        return []
    lines = re.split(_LINE_END, data.decode("utf-8-sig", "replace"))
    return [
        replace(problem, source=lines[problem.line - 1]) if 0 < problem.line <= len(lines) else problem
        for problem in sorted(problems, key=lambda one: (one.line, one.column))
    ]


def _error(file: str, problems: list[Problem], warnings: Sequence[Problem] = ()) -> DescriptorError:
    message = f"{file} has {format_count(len(problems), 'problem')}"
    error = DescriptorError(message, remedy="fix the problems listed", problems=problems, file=file)
    error.warnings = warnings
    return error


def _descriptor(root: DescriptorNode) -> dict[str, Any]:
    if root.value is None:
        root.error("the descriptor is empty", "create one with `localrun init`")
        return {}
    if not root.check_mapping(_KNOWN):
        return {}
    for key in REQUIRED:
        root.require(key, _KNOWN)
    found = _identity(root) | _external(root) | _configuration(root)
    node = root.get("inputs")
    if node is not None and node.value == {}:
        node.warn_divergence("no_inputs")
    inputs = read_parameters(node, output=False)
    outputs = read_parameters(root.get("outputs"), output=True)
    known = {f"inputs/{name}": one.type for name, one in inputs.items()}
    check_references(root, known | {f"outputs/{name}": one.type for name, one in outputs.items()})
    _check_image(root, found)
    return {**found, "inputs": inputs, "outputs": outputs}


def _check_image(root: DescriptorNode, found: dict[str, Any]) -> None:
    """Warn if the image archive does not have the documented name."""
    node = root.get("configuration")
    image = node.get("image") if node is not None and isinstance(node.value, dict) else None
    file = image.get("file") if image is not None and isinstance(image.value, dict) else None
    if file is not None and file.value != f"/{found['namespace']}-{found['version']}.tar":
        file.warn_divergence("image_file")


def _get(node: DescriptorNode, key: str, getter: Callable[[DescriptorNode], T | None], default: T) -> T:
    inner = node.get(key)
    found = getter(inner) if inner else None
    return default if found is None else found


def _identity(root: DescriptorNode) -> dict[str, Any]:
    if root.get("name_short") is None:
        root.warn_divergence("name_short", "name_short")
    authors = root.get("authors")
    return {
        "schema": _get(root, "$schema", _uri, ""),
        "name": _get(root, "name", _name, ""),
        "name_short": _get(root, "name_short", _name_short, ""),
        "namespace": _get(root, "namespace", _namespace, ""),
        "version": _get(root, "version", _version, ""),
        "description": _get(root, "description", _description, ""),
        "authors": _authors(authors) if authors else (),
    }


def _name_short(node: DescriptorNode) -> str | None:
    # the schema does not have this key, so an invalid value is not an error
    if isinstance(node.value, str):
        return node.value
    node.warn("expected a string (ignored)", "put it in quotes")
    return None


def _uri(node: DescriptorNode) -> str | None:
    return node.match_string(URI, "URI", "expected e.g. https://example.org/x")


def _name(node: DescriptorNode) -> str | None:
    found = node.match_string(r"[a-zA-Z0-9_\s\-]*", "name", "use only letters, digits, spaces, _ and -")
    if found is not None and not 3 <= len(found) <= 30:
        count = format_count(len(found), "character")
        node.error(f"{format_value(found)} has {count}", "use 3 to 30 characters")
    return found


def _namespace(node: DescriptorNode) -> str | None:
    return node.match_string(NAMESPACE, "namespace", "expected a dotted name, e.g. com.example")


def _version(node: DescriptorNode) -> str | None:
    found = node.match_string(VERSION, "version", "expected a semantic version, e.g. 1.0.0")
    if found is not None and "+" in found:
        node.warn_divergence("version_build")
    return found


def _description(node: DescriptorNode) -> str | None:
    found = node.string()
    if found is not None and len(found) > 2048:
        node.error(f"has {len(found)} characters", "use at most 2048 characters")
    return found


def _authors(node: DescriptorNode) -> tuple[Author, ...]:
    return tuple(filter(None, (_author(one) for one in node.items(least=1))))


def _author(node: DescriptorNode) -> Author | None:
    if not node.check_mapping({*_AUTHOR, "is_contact"}):
        return None
    for key in _AUTHOR:
        if node.get(key) is None:
            node.warn_divergence("author", key)
    if node.get("is_contact") is None:
        node.note_divergence("author_contact", "is_contact")
    texts = {key: _get(node, key, DescriptorNode.string, "") for key in _AUTHOR[:3]}
    email = _get(node, "email", _email, "")
    return Author(**texts, email=email, is_contact=_get(node, "is_contact", DescriptorNode.boolean, False))


def _email(node: DescriptorNode) -> str | None:
    return node.match_string(EMAIL, "email address", "expected e.g. ada@example.org")


def _external(root: DescriptorNode) -> dict[str, Any]:
    node = root.get("external")
    # `doi` is the key of the schema, `dois` that of the documentation, which the server ignores
    if node is None or not node.check_mapping({"source_code", "doi", "dois"}):
        return {}
    doi = node.get("doi")
    found = filter(None, map(_uri, doi.items())) if doi else ()
    return {"source_code": _get(node, "source_code", _uri, ""), "doi": tuple(found)}


def _configuration(root: DescriptorNode) -> dict[str, Any]:
    node = root.get("configuration")
    if node is None or not node.check_mapping({"input_folder", "output_folder", "image", "resources"}):
        return {}
    folders = {}
    for key in ("input_folder", "output_folder"):
        if node.get(key) is None:
            node.warn_divergence("folder", key)
        folders[key] = _get(node, key, _folder, f"/{key.partition('_')[0]}s")
    if folders["input_folder"] == folders["output_folder"]:
        message = f"input_folder and output_folder are both {folders['input_folder']}"
        node.error(message, "use two different folders")
    return {**folders, "resources": _get(node, "resources", _resources, ResourceRequest())}


def _folder(node: DescriptorNode) -> str | None:
    pattern = r"/[^\0\n\r\u0085\u2028\u2029]*"
    found = node.match_string(pattern, "path", "expected an absolute path, e.g. /inputs")
    if found is None:
        return None
    if ".." in found.split("/"):
        node.error(f"the path contains '..': {format_value(found)}", "write it without '..'")
    folder = "/" + posixpath.normpath(found).lstrip("/")
    if folder == "/":
        node.error("the root folder / is not allowed", "use a folder such as /inputs")
    if folder.split("/")[1] in _KERNEL_FOLDERS:
        node.error(f"{format_value(folder)} is in a kernel file system", "use a folder such as /inputs")
    return folder


def _resources(node: DescriptorNode) -> ResourceRequest | None:
    if not node.check_mapping({"ram", "cpus", "gpus", "internet"}):
        return None
    standard = ResourceRequest()
    return ResourceRequest(
        cpus=_get(node, "cpus", _cpus, standard.cpus),
        memory=_get(node, "ram", _ram, standard.memory),
        gpus=_get(node, "gpus", _count, standard.gpus),
        internet=_get(node, "internet", DescriptorNode.boolean, standard.internet),
    )


def _count(node: DescriptorNode) -> int | None:
    found = node.integer()
    if found is not None and found < 0:
        node.error(f"invalid count {found}", "use 0 or more")
    return found


def _cpus(node: DescriptorNode) -> int | None:
    found = _count(node)
    if found == 0:
        node.warn("0 CPUs is treated as 1", "write 1")
        return 1
    return found


def _ram(node: DescriptorNode) -> int | None:
    text = node.string()
    if text is None:
        return None
    found = memory.parse(text)
    if found is None or not found.prefix:
        node.error(f"invalid memory size {format_value(text)}", "expected e.g. 512Mi or 2Gi")
        return None
    if found.unit or found.has_space:
        node.warn_divergence("ram_quantity")
    if found.bytes == 0:
        node.warn(f"{text} is treated as 4Gi", "set the memory that the task needs")
        return None
    return found.bytes
