"""Read a descriptor, and say everything that is wrong with it at once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from localrun.descriptor.model import Author, Descriptor, Parameter, ResourceRequest
from localrun.descriptor.node import DescriptorNode, DescriptorReport
from localrun.descriptor.parameters import check_references, read_parameters
from localrun.descriptor.types import format_value, memory
from localrun.descriptor.yaml import Document, DocumentError
from localrun.descriptor.yaml import read as read_document
from localrun.errors import DescriptorError, Problem

MAX_BYTES = 1024**2

T = TypeVar("T")

_REQUIRED = ("$schema", "name", "namespace", "version", "authors", "configuration", "inputs", "outputs")
_KNOWN = {*_REQUIRED, "name_short", "description", "external"}
_AUTHOR = ("first_name", "last_name", "organization", "email")

_KERNELS = ("proc", "sys", "dev")  # in every container; nothing can be mounted below them
_LINE_END = r"\r\n|[\n\r\x85\u2028\u2029]"  # as YAML counts lines
_NUMERIC = r"(?:0|[1-9]\d*)"
_LABEL = rf"(?:{_NUMERIC}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_BUILD = r"[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*"
_VERSION = rf"{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}(?:-{_LABEL}(?:\.{_LABEL})*)?(?:\+{_BUILD})?"
_URI = r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`]*"


def read(
    data: bytes, file: str = "descriptor.yml", parse: Callable[[bytes, str], Document] = read_document
) -> Descriptor:
    """Read the bytes of a descriptor; `file` is how messages call it, `parse` what reads YAML.

    Raises `DescriptorError` with all problems, each with its line and column.
    """
    if len(data) > MAX_BYTES:
        message = f"has {len(data)} bytes, more than {MAX_BYTES}"
        raise _error(file, [Problem("", message, "a descriptor is a small YAML file", file=file)])
    try:
        document = parse(data, file)
    except DocumentError as error:
        raise _error(file, _with_lines([error.problem], data)) from None
    report = DescriptorReport(file)
    report.warnings += document.warnings
    found = _descriptor(DescriptorNode(document.root, "", report))
    if report.problems:
        raise _error(file, _with_lines(report.problems, data))
    return Descriptor(**found, warnings=tuple(_with_lines(report.warnings, data)), source=data)


def _with_lines(problems: list[Problem], data: bytes) -> list[Problem]:
    """In the order of their places, each with the line that it is about."""
    if not problems:
        return []
    lines = re.split(_LINE_END, data.decode("utf-8-sig", "replace"))
    return [
        replace(problem, source=lines[problem.line - 1]) if 0 < problem.line <= len(lines) else problem
        for problem in sorted(problems, key=_place_of)
    ]


def _place_of(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _error(file: str, problems: list[Problem]) -> DescriptorError:
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return DescriptorError(
        f"{file} has {count}", remedy="correct what is listed", problems=problems, file=file
    )


def _descriptor(root: DescriptorNode) -> dict[str, Any]:
    if root.value is None:
        root.error("is empty", "write a descriptor")
        return {}
    if not root.check_mapping(_KNOWN):
        return {}
    for key in _REQUIRED:
        root.require(key, _KNOWN)
    found = _identity(root) | _people(root) | _external(root) | _configuration(root)
    inputs = read_parameters(root.get("inputs"), output=False)
    outputs = read_parameters(root.get("outputs"), output=True)
    _check_parameters(root, inputs, outputs)
    _check_image(root, found)
    return {**found, "inputs": inputs, "outputs": outputs}


def _check_parameters(
    root: DescriptorNode, inputs: dict[str, Parameter], outputs: dict[str, Parameter]
) -> None:
    place = root.get("inputs")
    if place is not None and place.value == {}:
        place.warn_divergence("no_inputs")
    known = {f"inputs/{name}": one.type for name, one in inputs.items()}
    check_references(root, known | {f"outputs/{name}": one.type for name, one in outputs.items()})


def _check_image(root: DescriptorNode, found: dict[str, Any]) -> None:
    """Warn of a name of the image archive that is not the documented one."""
    place = root.get("configuration")
    image = place.get("image") if place is not None and isinstance(place.value, dict) else None
    file = image.get("file") if image is not None and isinstance(image.value, dict) else None
    if file is not None and file.value != f"/{found['namespace']}-{found['version']}.tar":
        file.warn_divergence("image_file")


def _take(place: DescriptorNode, key: str, getter: Callable[[DescriptorNode], T | None], default: T) -> T:
    inner = place.get(key)
    found = getter(inner) if inner else None
    return default if found is None else found


def _identity(root: DescriptorNode) -> dict[str, Any]:
    if root.get("name_short") is None:
        root.warn_divergence("name_short", "name_short")
    return {
        "schema": _take(root, "$schema", _uri, ""),
        "name": _take(root, "name", _name, ""),
        "name_short": _take(root, "name_short", _name_short, ""),
        "namespace": _take(root, "namespace", _namespace, ""),
        "version": _take(root, "version", _version, ""),
        "description": _take(root, "description", _description, ""),
    }


def _name_short(place: DescriptorNode) -> str | None:
    # no schema knows the key, so nothing in it is a reason to refuse the bundle
    if isinstance(place.value, str):
        return place.value
    place.warn("is no text and is ignored", "put it in quotes")
    return None


def _uri(place: DescriptorNode) -> str | None:
    return place.match_string(_URI, "is no URI", "write a full address, such as https://example.org/x")


def _name(place: DescriptorNode) -> str | None:
    found = place.match_string(
        r"[a-zA-Z0-9_\s\-]*", "holds other characters", "use letters, digits, blanks, _ and - only"
    )
    if found is not None and not 3 <= len(found) <= 30:
        place.error(f"{format_value(found)} has {len(found)} characters", "write 3 to 30 characters")
    return found


def _namespace(place: DescriptorNode) -> str | None:
    found = place.match_string(
        r"[a-zA-Z0-9_]*(\.[a-zA-Z0-9_-]+)+",
        "is no namespace",
        "write one with a dot, such as com.example",
    )
    if found is not None and "-" in found:
        place.warn_divergence("namespace_dash")
    return found


def _version(place: DescriptorNode) -> str | None:
    found = place.match_string(_VERSION, "is no semantic version", "write three numbers, such as 1.0.0")
    if found is not None and "+" in found:
        place.warn_divergence("version_build")
    return found


def _description(place: DescriptorNode) -> str | None:
    found = place.string()
    if found is not None and len(found) > 2048:
        place.error(f"has {len(found)} characters", "write at most 2048")
    return found


def _people(root: DescriptorNode) -> dict[str, Any]:
    place = root.get("authors")
    authors = [_author(one) for one in place.items(least=1)] if place else []
    return {"authors": tuple(author for author in authors if author is not None)}


def _author(place: DescriptorNode) -> Author | None:
    if not place.check_mapping({*_AUTHOR, "is_contact"}):
        return None
    for key in _AUTHOR:
        if place.get(key) is None:
            place.warn_divergence("author", key)
    texts = {key: _take(place, key, DescriptorNode.string, "") for key in _AUTHOR[:3]}
    email = _take(place, "email", _email, "")
    return Author(**texts, email=email, is_contact=_take(place, "is_contact", DescriptorNode.boolean, False))


def _email(place: DescriptorNode) -> str | None:
    return place.match_string(r"[^@\s]+@[^@\s]+", "is no email address", "write one such as ada@example.org")


def _external(root: DescriptorNode) -> dict[str, Any]:
    place = root.get("external")
    if place is None or not place.check_mapping({"source_code", "doi"}):
        return {}
    doi = place.get("doi")
    found = [_uri(item) for item in doi.items()] if doi else []
    return {
        "source_code": _take(place, "source_code", _uri, ""),
        "doi": tuple(one for one in found if one is not None),
    }


def _configuration(root: DescriptorNode) -> dict[str, Any]:
    place = root.get("configuration")
    if place is None or not place.check_mapping({"input_folder", "output_folder", "image", "resources"}):
        return {}
    folders = {}
    for key in ("input_folder", "output_folder"):
        if place.get(key) is None:
            place.warn_divergence("folder", key)
        folders[key] = _take(place, key, _folder, f"/{key.partition('_')[0]}s")
    if folders["input_folder"] == folders["output_folder"]:
        place.error(f"both folders are {folders['input_folder']}", "give two folders")
    return {**folders, "resources": _take(place, "resources", _resources, ResourceRequest())}


def _folder(place: DescriptorNode) -> str | None:
    found = place.match_string(
        r"/[^\0\n\r\u0085\u2028\u2029]*", "is no absolute path", "begin it with /, such as /inputs"
    )
    if found is None:
        return None
    if ".." in found.split("/"):
        place.error(f"{format_value(found)} climbs with '..'", "write the folder itself")
    folder = "/" + posixpath.normpath(found).lstrip("/")
    if folder == "/":
        place.error("the root of the container cannot be this folder", "give a folder such as /inputs")
    if folder.split("/")[1] in _KERNELS:
        place.error(f"{format_value(folder)} lies in a folder of the kernel", "give a folder such as /inputs")
    return folder


def _resources(place: DescriptorNode) -> ResourceRequest | None:
    if not place.check_mapping({"ram", "cpus", "gpus", "internet"}):
        return None
    standard = ResourceRequest()
    return ResourceRequest(
        cpus=_take(place, "cpus", _cpus, standard.cpus),
        memory=_take(place, "ram", _ram, standard.memory),
        gpus=_take(place, "gpus", _count, standard.gpus),
        internet=_take(place, "internet", DescriptorNode.boolean, standard.internet),
    )


def _count(place: DescriptorNode) -> int | None:
    found = place.integer()
    if found is not None and found < 0:
        place.error(f"{found} is less than 0", "write how many are needed")
    return found


def _cpus(place: DescriptorNode) -> int | None:
    found = _count(place)
    if found == 0:
        place.warn("0 is taken as 1: nothing runs without a cpu", "write 1")
        return 1
    return found


def _ram(place: DescriptorNode) -> int | None:
    text = place.string()
    if text is None:
        return None
    found = memory.parse(text)
    if found is None or not found.prefix:
        place.error(f"{format_value(text)} is no amount of memory", "write a number and a prefix: 512Mi, 2Gi")
        return None
    if found.unit or found.has_space:
        place.warn_divergence("ram_quantity")
    if found.bytes == 0:
        place.warn(f"{text} is taken as 4Gi", "write what the task needs")
        return None
    return found.bytes
