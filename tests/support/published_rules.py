"""What Cytomine's published schema `task.v0` demands of a descriptor, as a table of facts.

`validator` checks values as App Engine does. Everything that is not in the table is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft201909Validator, FormatChecker

Rule = dict[str, Any]

TEXT: Rule = {"type": "string"}
WHOLE: Rule = {"type": "integer"}
NUMBER: Rule = {"type": "number"}
SWITCH: Rule = {"type": "boolean"}
ADDRESS: Rule = {"type": "string", "format": "uri"}
MOMENT: Rule = {"type": "string", "format": "date-time"}


def text(pattern: str, shortest: int = 0, longest: int | None = None) -> Rule:
    """Return the rule of a text. App Engine's `\\d`, `\\s` and `$` are those of ECMAScript."""
    limit = {} if longest is None else {"maxLength": longest}
    return {"type": "string", "pattern": f"(?a){pattern}", "minLength": shortest, **limit}


def array(of: Rule, shortest: int = 0) -> Rule:
    return {"type": "array", "items": of, "minItems": shortest}


def mapping(required: tuple[str, ...] = (), **properties: Rule) -> Rule:
    return {"type": "object", "required": list(required), "properties": properties}


# -- the facts ------------------------------------------------------------------------------------

_NUMBER = r"(?:0|[1-9]\d*)"
_LABEL = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
VERSION = text(
    rf"^{_NUMBER}(?:\.{_NUMBER}){{2}}(?:-{_LABEL}(?:\.{_LABEL})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?\Z"
)
SIZE = text(rf"^{_NUMBER}(?:\.\d+)?\s*(?:[KMGTPEZY]i|[kMGTPEZYRQ])")  # anything may follow
FOLDER = text(r"^/.*\Z")
CHOICE = text(r"^[^\r\n]+\Z", 1, 256)
NAME_OF_PARAMETER = r"(?a)^[a-zA-Z0-9_]+\Z"
LIMITS = ("gt", "lt", "geq", "leq")

# type -> the rules of its constraints
CONSTRAINTS: dict[str, dict[str, Rule]] = {
    "boolean": {},
    "integer": dict.fromkeys(LIMITS, WHOLE),
    "number": {**dict.fromkeys(LIMITS, NUMBER), "infinity_allowed": SWITCH, "nan_allowed": SWITCH},
    "string": {"min_length": WHOLE, "max_length": WHOLE},
    "enumeration": {"values": array(CHOICE, 1)},
    "datetime": {"before": MOMENT, "after": MOMENT},
    "geometry": {},
    "file": {"max_file_size": SIZE, "formats": array({"enum": ["binary", "text"]}, 1)},
    "image": {
        "max_file_size": SIZE,
        "formats": array({"enum": ["dicom", "jpeg", "png", "tiff", "wsidicom"]}, 1),
        "max_width": WHOLE,
        "max_height": WHOLE,
    },
    "array": {"min_size": WHOLE, "max_size": WHOLE, "subtype": {"$ref": "#/$defs/any_type"}},
}
# constraints that a type cannot be without; others may be given by their name alone
REQUIRED = {"enumeration": ("values",), "array": ("subtype",)}
# type -> the rule of the default of an input; others may have any
DEFAULTS = {
    "boolean": SWITCH,
    "integer": WHOLE,
    "number": NUMBER,
    "string": TEXT,
    "enumeration": CHOICE,
    "datetime": MOMENT,
}
PERSON = {
    "first_name": TEXT,
    "last_name": TEXT,
    "organization": TEXT,
    "email": {"type": "string", "format": "email"},
}
HEAD: dict[str, Rule] = {
    "$schema": ADDRESS,
    "name": text(r"^[a-zA-Z0-9_\s\-]+\Z", 3, 30),
    "namespace": text(r"^[a-zA-Z0-9_]*(\.[a-zA-Z0-9_-]+)+\Z"),
    "version": VERSION,
    "authors": array(mapping(tuple(PERSON), **PERSON, is_contact=SWITCH), 1),
    "configuration": mapping(
        input_folder=FOLDER,
        output_folder=FOLDER,
        resources=mapping(ram=SIZE, cpus=WHOLE, gpus=WHOLE, internet=SWITCH),
    ),
}
OPTIONAL_HEAD: dict[str, Rule] = {
    "description": {"type": "string", "maxLength": 2048},
    "external": mapping(source_code=ADDRESS, doi=array(ADDRESS)),
}


# -- from the facts to a validator ----------------------------------------------------------------


def _type(name: str) -> Rule:
    required = REQUIRED.get(name, ())
    long = mapping(("id", *required), id={"const": name}, **CONSTRAINTS[name])
    return long if required else {"anyOf": [{"const": name}, long]}


def _parameter(name: str, defaults: Mapping[str, Rule], dependent: bool) -> Rule:
    """Return the rule of a parameter of a type."""
    known = mapping(
        ("type", "description"),
        type=_type(name),
        description=TEXT,
        display_name={"type": "string", "minLength": 1},
        optional=SWITCH,
    )
    known["properties"] |= {"default": defaults[name]} if name in defaults else {}
    known["properties"] |= {"dependencies": {"type": "object"}} if dependent or name == "array" else {}
    return known


def _parameters(defaults: Mapping[str, Rule], *, dependent: bool) -> Rule:
    any_of = {"anyOf": [_parameter(name, defaults, dependent) for name in CONSTRAINTS]}
    return {"type": "object", "patternProperties": {NAME_OF_PARAMETER: any_of}, "additionalProperties": False}


_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or (bool(urlsplit(value).scheme) and " " not in value)


@_FORMATS.checks("email")
def _is_email(value: object) -> bool:
    if not isinstance(value, str):
        return True
    name, at, domain = value.rpartition("@")
    return bool(name and at and domain)


@_FORMATS.checks("date-time", raises=ValueError)
def _is_datetime(value: object) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@cache
def validator() -> Draft201909Validator:
    """Return a validator of descriptors."""
    parameters = {
        "inputs": _parameters(DEFAULTS, dependent=False),
        "outputs": _parameters({}, dependent=True),
    }
    schema = mapping((*HEAD, *parameters), **HEAD, **OPTIONAL_HEAD, **parameters)
    schema["$defs"] = {"any_type": {"anyOf": [_type(name) for name in CONSTRAINTS]}}
    Draft201909Validator.check_schema(schema)
    return Draft201909Validator(schema, format_checker=_FORMATS)
