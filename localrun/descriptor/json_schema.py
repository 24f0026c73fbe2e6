"""The JSON Schema (draft 2019-09) of descriptors, for editors: made from the types that localrun knows.

It says what `read` refuses, and nothing that `read` takes is refused by it, but for what no schema can say:
see `UNSAID`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields

from localrun.descriptor.model import ResourceRequest
from localrun.descriptor.types import TYPES, Array, DataType, Enumeration, Integer
from localrun.descriptor.types.files import FILE_FORMATS, IMAGE_FORMATS

DIALECT = "https://json-schema.org/draft/2019-09/schema"

# what `read` refuses and this schema does not
NOT_EXPRESSIBLE = (
    "the input folder and the output folder are the same one, perhaps spelled otherwise",
    "a size or an amount of memory of more than 64 characters",
    "a text that is too large, too deep, or no YAML at all",
)

Schema = dict[str, Any]

_NUMERIC = r"(0|[1-9][0-9]*)"
_LABEL = rf"({_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_MEMORY = r"^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(Ki|Mi|Gi|Ti|Pi|Ei|Zi|Yi|k|M|G|T|P|E|Z|Y|R|Q)"
_SIZE = rf"({_MEMORY}|^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(B|Byte|byte|b|bit)?$)"
# not the root however it is written, and no '..'
_FOLDER = r"^/(?!(/|\./)*\.?$)(?!(.*/)?\.\.(/|$))[^\u0000\n\r\u0085\u2028\u2029]*$"

_URI: Schema = {
    "type": "string",
    "format": "uri",
    "pattern": r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`]*$",
}
_ITEM: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\r\n]+$"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_BOUND: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_DEPENDENCIES: Schema = {"type": "object"}


def _one_of(formats: tuple[str, ...]) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(formats)}}


# field of a type -> its schema and what it means, for the one who writes it
_FIELDS: dict[str, tuple[Schema, str]] = {
    "gt": (_BOUND, "Values must be greater than this."),
    "lt": (_BOUND, "Values must be less than this."),
    "geq": (_BOUND, "Values must be at least this."),
    "leq": (_BOUND, "Values must be at most this."),
    "infinity_allowed": (_FLAG, "Whether inf and -inf may be given."),
    "nan_allowed": (_FLAG, "Whether nan may be given."),
    "min_length": (_COUNT, "The fewest characters."),
    "max_length": (_COUNT, "The most characters."),
    "values": ({"type": "array", "minItems": 1, "items": _ITEM}, "The texts that may be given."),
    "before": (_MOMENT, "App Engine cannot take a task that has this."),
    "after": (_MOMENT, "App Engine cannot take a task that has this."),
    "max_file_size": ({"type": "string", "pattern": _SIZE}, "The most bytes, such as 10MB or 2GiB."),
    "max_width": (_COUNT, "The most pixels in a row."),
    "max_height": (_COUNT, "The most rows."),
    "subtype": ({"$ref": "#/$defs/type"}, "The type of the items."),
    "min_size": (_COUNT, "The fewest items."),
    "max_size": (_COUNT, "The most items."),
}
_FORMATS = {"file": FILE_FORMATS, "image": IMAGE_FORMATS}
_NEEDED: dict[type[DataType], list[str]] = {Enumeration: ["values"], Array: ["subtype"]}

# what a default must be; that of other types is not looked at
_DEFAULTS: dict[str, Schema] = {
    "boolean": _FLAG,
    "integer": _COUNT,
    "number": _BOUND,
    "string": {"type": "string"},
    "enumeration": _ITEM,
    "datetime": _MOMENT,
}


def schema() -> Schema:
    """The schema, as JSON can hold it."""
    text: Schema = {"type": "string"}
    return {
        "$schema": DIALECT,
        "title": "Descriptor of a task",
        "type": "object",
        "required": [
            *("$schema", "name", "namespace", "version", "authors", "configuration", "inputs", "outputs")
        ],
        "properties": {
            "$schema": {**_URI, "description": "The schema that the descriptor is written after."},
            "name": {
                **text,
                "minLength": 3,
                "maxLength": 30,
                "pattern": r"^[a-zA-Z0-9_ \t\n\r\f\v-]*$",
                "description": "What people call the task.",
            },
            "name_short": {"description": "A short form of the name. App Engine cannot do without it."},
            "version": {
                **text,
                "pattern": rf"^{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}(-{_LABEL}(\.{_LABEL})*)?"
                r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$",
                "description": "A semantic version, such as 1.0.0.",
            },
            "namespace": {
                **text,
                "pattern": r"^[a-zA-Z0-9_]*(\.[a-zA-Z0-9_-]+)+$",
                "description": "Names the task together with its version, such as com.example.count.",
            },
            "description": {**text, "maxLength": 2048, "description": "What the task does."},
            "authors": {
                "type": "array",
                "minItems": 1,
                "items": _author(),
                "description": "Who wrote the task. App Engine wants all four texts of each.",
            },
            "external": {
                "type": "object",
                "description": "Where more is found about the task.",
                "properties": {"source_code": _URI, "doi": {"type": "array", "items": _URI}},
            },
            "configuration": {
                **_configuration(),
                "description": "Where the task finds its files, and what it needs.",
            },
            "inputs": {**_parameters("input"), "description": "What the task takes, by name."},
            "outputs": {**_parameters("output"), "description": "What the task gives, by name."},
        },
        "$defs": {
            "type": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in TYPES]},
            **{name: _type(name, kind) for name, kind in TYPES.items()},
            "parameter": _parameter(),
            "input": _input(),
            "output": _output(),
        },
    }


def _author() -> Schema:
    texts = ("first_name", "last_name", "organization")
    return {
        "type": "object",
        "properties": {
            **{name: {"type": "string"} for name in texts},
            "email": {"type": "string", "format": "email", "pattern": r"^[^@\s]+@[^@\s]+$"},
            "is_contact": {**_FLAG, "default": False, "description": "Whether to ask this one."},
        },
    }


def _configuration() -> Schema:
    standard = ResourceRequest()
    folder: Schema = {"type": "string", "pattern": _FOLDER}
    count: Schema = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": {
            "input_folder": {**folder, "default": "/inputs", "description": "Where the inputs are found."},
            "output_folder": {
                **folder,
                "default": "/outputs",
                "description": "Where the outputs are written.",
            },
            "image": {"description": "The name of the image archive; App Engine never reads it."},
            "resources": {
                "type": "object",
                "description": "What a run needs.",
                "properties": {
                    "ram": {
                        "type": "string",
                        "pattern": _MEMORY,
                        "default": "4Gi",
                        "description": "The most memory, such as 512Mi or 2Gi.",
                    },
                    "cpus": {**count, "default": standard.cpus, "description": "Whole processors."},
                    "gpus": {**count, "default": standard.gpus, "description": "GPUs."},
                    "internet": {
                        **_FLAG,
                        "default": standard.internet,
                        "description": "Whether the task may use the network.",
                    },
                },
            },
        },
    }


def _parameters(kind: str) -> Schema:
    return {
        "type": "object",
        "patternProperties": {"^[a-zA-Z0-9_]+$": {"$ref": f"#/$defs/{kind}"}},
        "additionalProperties": False,
    }


def _parameter() -> Schema:
    return {
        "type": "object",
        "required": ["type", "description"],
        "properties": {
            "type": {"$ref": "#/$defs/type"},
            "description": {"type": "string", "description": "What it is, for people."},
            "display_name": {"type": "string", "minLength": 1, "description": "Its name for people."},
            "optional": {
                **_FLAG,
                "default": False,
                "description": "Whether an input may be left out. App Engine requires every output.",
            },
        },
    }


def _output() -> Schema:
    return {"allOf": [{"$ref": "#/$defs/parameter"}, {"properties": {"dependencies": _DEPENDENCIES}}]}


def _input() -> Schema:
    """A parameter whose default, if it has one, is of its type; only an array can depend on others."""
    array = {"type": "object", "required": ["id"], "properties": {"id": {"const": "array"}}}
    rules: list[Schema] = [
        {"if": {"properties": {"type": array}}, "then": {"properties": {"dependencies": _DEPENDENCIES}}}
    ]
    rules += [
        {
            "if": {"properties": {"type": {"$ref": f"#/$defs/{name}"}}},
            "then": {"properties": {"default": default}},
        }
        for name, default in _DEFAULTS.items()
    ]
    return {"allOf": [{"$ref": "#/$defs/parameter"}, *rules]}


def _type(name: str, kind: type[DataType]) -> Schema:
    """A type in its long form, and in its short one if it can do without more than its name."""
    properties: Schema = {"id": {"const": name}}
    for field in fields(kind):
        properties[field.name] = _field(name, kind, field.name, field.default)
    needed = _NEEDED.get(kind, [])
    long: Schema = {"type": "object", "required": ["id", *needed], "properties": properties}
    return long if needed else {"oneOf": [{"const": name}, long]}


def _field(name: str, kind: type[DataType], field: str, default: Any) -> Schema:
    if field == "formats":
        return {**_one_of(_FORMATS[name]), "description": "The formats that are taken; any when left out."}
    found, meaning = _FIELDS[field]
    if found is _BOUND and kind is Integer:
        found = _COUNT
    has_default = isinstance(default, (bool, int))
    return {**found, "description": meaning, **({"default": default} if has_default else {})}
