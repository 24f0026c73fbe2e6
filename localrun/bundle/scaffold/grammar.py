"""Parse parameters of the command line: `name:type`, `xs:array<integer>`, `mode:enumeration(a,b)`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localrun.descriptor.types import TYPES, format_value
from localrun.errors import Problem
from localrun.suggestions import did_you_mean

Type = str | dict[str, Any]  # as in a descriptor

_NAME = re.compile(r"[a-zA-Z0-9_]+", re.ASCII)
_MAX_DEPTH = 8
_MAX_SIZE = 100  # of a nested array: App Engine requires both bounds
EXAMPLES = "integer, array<number>, enumeration(small,large)"


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A parameter of the new bundle."""

    name: str
    type: Type


class ParseError(ValueError):
    """A type cannot be parsed; `remedy` says how to write it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def parse(texts: Sequence[str], section: str, problems: list[Problem]) -> list[ParameterSpec]:
    """Parse `name:type` strings; append the problems to `problems`."""
    found: dict[str, ParameterSpec] = {}
    for text in texts:
        name, colon, kind = text.partition(":")
        name = name.strip()
        path = f"{section} {text}"
        if not colon:
            problems.append(Problem(path, "missing type", f"expected e.g. {name or 'name'}:integer"))
        elif not _NAME.fullmatch(name):
            remedy = "use only letters, digits and _"
            problems.append(Problem(path, f"invalid parameter name {format_value(name)}", remedy))
        elif name in found:
            problems.append(Problem(path, f"duplicate name {name!r}", "use another name"))
        try:
            found[name] = ParameterSpec(name, parse_type(kind) if colon else "string")
        except ParseError as error:
            problems.append(Problem(path, str(error), error.remedy))
    return list(found.values())


def parse_type(text: str, depth: int = 0) -> Type:
    """Parse a type. Raises `ParseError`."""
    text = text.strip()
    if depth > _MAX_DEPTH:
        raise ParseError(f"arrays are nested more than {_MAX_DEPTH} levels deep", "use fewer levels")
    if array := re.fullmatch(r"array\s*<(.*)>", text):
        sizes = {"min_size": 0, "max_size": _MAX_SIZE} if depth else {}
        return {"id": "array", "subtype": parse_type(array[1], depth + 1), **sizes}
    if enumeration := re.fullmatch(r"enumeration\s*\((.*)\)", text):
        return _enumeration(enumeration[1])
    if text == "array":
        raise ParseError("array without an item type", "expected e.g. array<integer>")
    if text == "enumeration":
        raise ParseError("enumeration without values", "expected e.g. enumeration(small,large)")
    if text not in TYPES:
        word = re.split(r"[<(\[{]", text)[0]
        remedy = did_you_mean(word, TYPES) if word not in TYPES else ""
        raise ParseError(f"unknown type {format_value(text)}", remedy or f"expected e.g. {EXAMPLES}")
    return text


def _enumeration(text: str) -> Type:
    values = [value.strip() for value in text.split(",")]
    if not all(1 <= len(value) <= 256 and value.isprintable() for value in values):
        raise ParseError("invalid enumeration value", "use 1 to 256 printable characters for each value")
    if len(set(values)) < len(values):
        raise ParseError("duplicate enumeration value", "remove one of them")
    return {"id": "enumeration", "values": values}
