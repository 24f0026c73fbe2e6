"""The JSON Schema (draft 2019-09) of descriptors, for editors, generated from localrun's types.

It accepts and refuses the same descriptors as `read`, except for the rules in `NOT_EXPRESSIBLE`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields

from localrun.descriptor.model import ResourceRequest
from localrun.descriptor.types import TYPES, Array, DataType, Enumeration, Integer
from localrun.descriptor.types.files import FILE_FORMATS, IMAGE_FORMATS

DIALECT = "https://json-schema.org/draft/2019-09/schema"

# rules of `read` that this schema does not have
NOT_EXPRESSIBLE = (
    "the input folder and the output folder must be different, whatever their spelling",
    "a size has at most 64 characters",
    "the file must be valid YAML and must not be too large or nested too deeply",
)

Schema = dict[str, Any]

_NUMERIC = r"(0|[1-9][0-9]*)"
_LABEL = rf"({_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_MEMORY = r"^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(Ki|Mi|Gi|Ti|Pi|Ei|Zi|Yi|k|M|G|T|P|E|Z|Y|R|Q)"
_SIZE = rf"({_MEMORY}|^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(B|Byte|byte|b|bit)?$)"
# not the root in any spelling, and no '..'
_FOLDER = r"^/(?!(/|\./)*\.?$)(?!(.*/)?\.\.(/|$))[^\u0000\n\r\u0085\u2028\u2029]*$"

_URI: Schema = {
    "type": "string",
    "format": "uri",
    "pattern": r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s<>\"{}|\\^`]*$",
}
_ITEM: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\r\n]+$"}
_DATETIME: Schema = {"type": "string", "format": "date-time"}
_BOUND: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_DEPENDENCIES: Schema = {"type": "object"}


def _one_of(formats: tuple[str, ...]) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(formats)}}


# field of a type -> its schema and its description
_FIELDS: dict[str, tuple[Schema, str]] = {
    "gt": (_BOUND, "Values must be greater than this."),
    "lt": (_BOUND, "Values must be less than this."),
    "geq": (_BOUND, "Values must be at least this."),
    "leq": (_BOUND, "Values must be at most this."),
    "infinity_allowed": (_FLAG, "Whether inf and -inf are allowed."),
    "nan_allowed": (_FLAG, "Whether nan is allowed."),
    "min_length": (_COUNT, "Minimum number of characters."),
    "max_length": (_COUNT, "Maximum number of characters."),
    "values": ({"type": "array", "minItems": 1, "items": _ITEM}, "The allowed values."),
    "before": (_DATETIME, "Latest datetime. App Engine refuses a task with this field."),
    "after": (_DATETIME, "Earliest datetime. App Engine refuses a task with this field."),
    "max_file_size": ({"type": "string", "pattern": _SIZE}, "Maximum file size, e.g. 10MB or 2GiB."),
    "max_width": (_COUNT, "Maximum width in pixels."),
    "max_height": (_COUNT, "Maximum height in pixels."),
    "subtype": ({"$ref": "#/$defs/type"}, "Type of the items."),
    "min_size": (_COUNT, "Minimum number of items."),
    "max_size": (_COUNT, "Maximum number of items."),
}
_FORMATS = {"file": FILE_FORMATS, "image": IMAGE_FORMATS}
_NEEDED: dict[type[DataType], list[str]] = {Enumeration: ["values"], Array: ["subtype"]}

# the schema of a default; defaults of other types are not checked
_DEFAULTS: dict[str, Schema] = {
    "boolean": _FLAG,
    "integer": _COUNT,
    "number": _BOUND,
    "string": {"type": "string"},
    "enumeration": _ITEM,
    "datetime": _DATETIME,
}


def schema() -> Schema:
    """Return the schema as JSON data."""
    text: Schema = {"type": "string"}
    return {
        "$schema": DIALECT,
        "title": "Descriptor of a task",
        "type": "object",
        "required": [
            *("$schema", "name", "namespace", "version", "authors", "configuration", "inputs", "outputs")
        ],
        "properties": {
            "$schema": {**_URI, "description": "URI of the schema of this descriptor."},
            "name": {
                **text,
                "minLength": 3,
                "maxLength": 30,
                "pattern": r"^[a-zA-Z0-9_ \t\n\r\f\v-]*$",
                "description": "Display name of the task.",
            },
            "name_short": {"description": "Short form of the name. Required by App Engine."},
            "version": {
                **text,
                "pattern": rf"^{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}(-{_LABEL}(\.{_LABEL})*)?"
                r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$",
                "description": "Semantic version, e.g. 1.0.0.",
            },
            "namespace": {
                **text,
                "pattern": r"^[a-zA-Z0-9_]*(\.[a-zA-Z0-9_-]+)+$",
                "description": "Identifies the task together with its version, e.g. com.example.count.",
            },
            "description": {**text, "maxLength": 2048, "description": "What the task does."},
            "authors": {
                "type": "array",
                "minItems": 1,
                "items": _author(),
                "description": "Authors of the task. App Engine requires all four strings of each.",
            },
            "external": {
                "type": "object",
                "description": "Links to more information about the task.",
                "properties": {"source_code": _URI, "doi": {"type": "array", "items": _URI}},
            },
            "configuration": {
                **_configuration(),
                "description": "Folders and resources of the task.",
            },
            "inputs": {**_parameters("input"), "description": "Inputs of the task by name."},
            "outputs": {**_parameters("output"), "description": "Outputs of the task by name."},
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
            "is_contact": {
                **_FLAG,
                "default": False,
                "description": "Whether to contact this author.",
            },
        },
    }


def _configuration() -> Schema:
    standard = ResourceRequest()
    folder: Schema = {"type": "string", "pattern": _FOLDER}
    count: Schema = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "properties": {
            "input_folder": {
                **folder,
                "default": "/inputs",
                "description": "Input folder in the container.",
            },
            "output_folder": {
                **folder,
                "default": "/outputs",
                "description": "Output folder in the container.",
            },
            "image": {"description": "Name of the image archive. App Engine ignores it."},
            "resources": {
                "type": "object",
                "description": "Resources of a run.",
                "properties": {
                    "ram": {
                        "type": "string",
                        "pattern": _MEMORY,
                        "default": "4Gi",
                        "description": "Memory limit, e.g. 512Mi or 2Gi.",
                    },
                    "cpus": {**count, "default": standard.cpus, "description": "Number of CPUs."},
                    "gpus": {**count, "default": standard.gpus, "description": "Number of GPUs."},
                    "internet": {
                        **_FLAG,
                        "default": standard.internet,
                        "description": "Whether the task has network access.",
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
            "description": {"type": "string", "description": "Description of the parameter."},
            "display_name": {
                "type": "string",
                "minLength": 1,
                "description": "Display name.",
            },
            "optional": {
                **_FLAG,
                "default": False,
                "description": "Whether an input may be omitted. App Engine requires every output.",
            },
        },
    }


def _output() -> Schema:
    return {"allOf": [{"$ref": "#/$defs/parameter"}, {"properties": {"dependencies": _DEPENDENCIES}}]}


def _input() -> Schema:
    """Return the schema of an input: a default matches the type, and only arrays have dependencies."""
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
    """Return the schema of a type: the long form, and the short form if no field is required."""
    properties: Schema = {"id": {"const": name}}
    for field in fields(kind):
        properties[field.name] = _field(name, kind, field.name, field.default)
    needed = _NEEDED.get(kind, [])
    long: Schema = {"type": "object", "required": ["id", *needed], "properties": properties}
    return long if needed else {"oneOf": [{"const": name}, long]}


def _field(name: str, kind: type[DataType], field: str, default: Any) -> Schema:
    if field == "formats":
        return {**_one_of(_FORMATS[name]), "description": "Allowed formats. Any format if omitted."}
    found, meaning = _FIELDS[field]
    if found is _BOUND and kind is Integer:
        found = _COUNT
    has_default = isinstance(default, (bool, int))
    return {**found, "description": meaning, **({"default": default} if has_default else {})}
