"""Parameters as they are written in a command: `name:type`, `xs:array<integer>`, `mode:enumeration(a,b)`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localrun.descriptor.types import TYPES, format_value
from localrun.errors import Problem
from localrun.suggestions import did_you_mean

Type = str | dict[str, Any]  # as a descriptor has it

_NAME = re.compile(r"[a-zA-Z0-9_]+", re.ASCII)
_DEEPEST = 8
_MOST = 100  # items of an array inside another one, which App Engine takes only with both bounds
EXAMPLES = "integer, array<number>, enumeration(small,large)"


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter that is wished for."""

    name: str
    type: Type


class ParseError(ValueError):
    """A type is written in a wrong way; `remedy` says how to write it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def parse(texts: Sequence[str], section: str, problems: list[Problem]) -> list[ParameterSpec]:
    """Read `name:type` texts; what is wrong with any of them is added to `problems`."""
    found: dict[str, ParameterSpec] = {}
    for text in texts:
        name, colon, kind = text.partition(":")
        name = name.strip()
        path = f"{section} {text}"
        if not colon:
            problems.append(Problem(path, "has no type", f"write {name or 'name'}:integer"))
        elif not _NAME.fullmatch(name):
            remedy = "use letters, digits and _ only"
            problems.append(Problem(path, f"{format_value(name)} is no name for a parameter", remedy))
        elif name in found:
            problems.append(Problem(path, f"{name!r} was there before", "give it another name"))
        try:
            found[name] = ParameterSpec(name, parse_type(kind) if colon else "string")
        except ParseError as error:
            problems.append(Problem(path, str(error), error.remedy))
    return list(found.values())


def parse_type(text: str, depth: int = 0) -> Type:
    """Read a type. Raises `ParseError`."""
    text = text.strip()
    if depth > _DEEPEST:
        raise ParseError("the arrays are nested too deep", "use fewer")
    if array := re.fullmatch(r"array\s*<(.*)>", text):
        return _array(parse_type(array[1], depth + 1), nested=depth > 0)
    if enumeration := re.fullmatch(r"enumeration\s*\((.*)\)", text):
        return _enumeration(enumeration[1])
    if text == "array":
        raise ParseError("array needs the type of its items", "write array<integer>")
    if text == "enumeration":
        raise ParseError("enumeration needs its values", "write enumeration(small,large)")
    if text not in TYPES:
        word = re.split(r"[<(\[{]", text)[0]
        remedy = did_you_mean(word, TYPES) if word not in TYPES else ""
        raise ParseError(f"unknown type {format_value(text)}", remedy or f"write for example {EXAMPLES}")
    return text


def _array(subtype: Type, *, nested: bool) -> Type:
    sizes = {"min_size": 0, "max_size": _MOST} if nested else {}
    return {"id": "array", "subtype": subtype, **sizes}


def _enumeration(text: str) -> Type:
    values = [value.strip() for value in text.split(",")]
    if not all(1 <= len(value) <= 256 and value.isprintable() for value in values):
        raise ParseError("a value of the enumeration is empty or too long", "write (small,large)")
    if len(set(values)) < len(values):
        raise ParseError("a value of the enumeration is there twice", "leave one")
    return {"id": "enumeration", "values": values}
