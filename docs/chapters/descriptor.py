"""The descriptor, from the types that the reader knows."""

from __future__ import annotations

import inspect
from typing import Any

from localrun.descriptor.divergences import ROWS, Divergence
from localrun.descriptor.json_schema import NOT_EXPRESSIBLE, schema
from localrun.descriptor.types import TYPES

from chapters.page import Page, code, sentence

_VERDICTS = {"refuses": "refuses", "takes": "accepts, unlike localrun", "differs": "behaves differently"}
_HEADS = ["key", "type", "meaning"]


def page() -> Page:
    """Return the page of descriptor keys, types, and differences from App Engine."""
    made = Page(
        "Descriptor",
        "The keys of `descriptor.yml`. `localrun schema` prints them as a JSON Schema for editors, and "
        "`localrun validate` checks a descriptor and reports every problem. "
        "[Write a bundle](../write-a-bundle.md) shows how to write one.",
    )
    whole = schema()
    defs = whole["$defs"]
    _keys(made, "Top level", whole)
    for name in ("authors", "external", "configuration"):
        inner = whole["properties"][name]
        _keys(made, name, inner.get("items", inner))
    resources = whole["properties"]["configuration"]["properties"]["resources"]
    _keys(made, "configuration.resources", resources)
    made.head("inputs and outputs")
    made.prose(
        "Maps of names to parameters. A name consists of letters, digits and `_`; it is the name of the file "
        "that the program reads or writes."
    )
    _table(made, {**defs["parameter"], "properties": {**defs["parameter"]["properties"], **_MORE}})
    made.head("Types")
    made.prose(
        "`type: integer` is short for `type: {id: integer}`; a type with constraints needs the long form."
    )
    for name, kind in TYPES.items():
        made.head(name, 3)
        made.prose(sentence(inspect.getdoc(kind) or ""))
        _table(made, _long(defs[name]), leave_out="id")
    made.head("Rules outside the schema")
    made.prose("localrun also checks these rules, which the schema cannot express:")
    made.prose("\n".join(f"- {one}" for one in NOT_EXPRESSIBLE))
    _divergences(made)
    return made


_MORE: dict[str, Any] = {
    "default": {"description": "For inputs: the value if it is omitted. It must have the declared type."},
    "dependencies": {
        "type": "object",
        "description": "`derived_from: inputs/NAME`, and `matching:` a list of arrays of the same length.",
    },
}


def _keys(made: Page, title: str, found: dict[str, Any]) -> None:
    made.head(title)
    _table(made, found)


def _table(made: Page, found: dict[str, Any], leave_out: str = "") -> None:
    required = found.get("required", [])
    rows = [
        [code(name), _kind(inner) + (", required" if name in required else ""), _meaning(inner)]
        for name, inner in found["properties"].items()
        if name != leave_out
    ]
    made.table(_HEADS, rows)


def _long(found: dict[str, Any]) -> dict[str, Any]:
    """Return the long form of a type, for a type that has both."""
    long: dict[str, Any] = found["oneOf"][1] if "oneOf" in found else found
    return long


def _kind(found: dict[str, Any]) -> str:
    if "$ref" in found:
        return "[a type](#types)"
    if "enum" in found:
        return "one of " + ", ".join(map(code, found["enum"]))
    match found.get("type"):
        case "array":
            items = found.get("items", {})
            inner = _kind(items)
            return f"a list: {inner}" if "enum" in items else f"a list of {_PLURAL.get(inner, inner)}"
        case "object":
            return "a map"
        case "string":
            return _FORMATS.get(found.get("format", ""), "a string")
        case None:
            return "any value"
        case name:
            return {"integer": "an integer", "boolean": "`true` or `false`"}.get(name, f"a {name}")


_FORMATS = {"uri": "a URI", "email": "an email address", "date-time": "a point in time"}
_PLURAL = {"a string": "strings", "a map": "maps", "a URI": "URIs"}


def _meaning(found: dict[str, Any]) -> str:
    parts = [found.get("description", "")]
    if "default" in found and found["default"] is not None:
        shown = found["default"]
        parts.append(f"Default: {code(str(shown).lower() if isinstance(shown, bool) else shown)}.")
    lengths = [("minLength", "at least"), ("maxLength", "at most")]
    said = [f"{words} {found[key]} characters" for key, words in lengths if key in found]
    if said and max(found.get("minLength", 0), found.get("maxLength", 0)) > 1:
        parts.append(sentence(" and ".join(said).capitalize()))
    return " ".join(part for part in parts if part)


def _divergences(made: Page) -> None:
    made.head("Where App Engine disagrees")
    made.prose(
        "App Engine's documentation, schema and server do not always agree. localrun accepts what the "
        "documentation or the schema allows, and warns if the server would refuse it. If the server accepts "
        "more than they allow, localrun refuses it, so a bundle that passes here passes there as well. "
        "`row` is the id in the output of `validate --json`."
    )
    made.table(
        ["row", "location", "App Engine", "behaviour", "portable alternative"],
        [
            [code(one.id), one.location, _verdict(one), sentence(one.reason), sentence(one.remedy)]
            for one in ROWS
        ],
    )


def _verdict(row: Divergence) -> str:
    later = row.verdict == "refuses" and row.step != "upload"
    return f"refuses at {row.step}" if later else _VERDICTS[row.verdict]
