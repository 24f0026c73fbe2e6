"""The JSON Schema (draft 2019-09) of descriptors, for editors, generated from localrun's types.

It accepts and refuses the same descriptors as `read`, except for the rules in `NOT_EXPRESSIBLE`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields

from localrun.descriptor import reader
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

_MEMORY = r"^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(Ki|Mi|Gi|Ti|Pi|Ei|Zi|Yi|k|M|G|T|P|E|Z|Y|R|Q)"
_SIZE = rf"({_MEMORY}|^(0|[1-9][0-9]*)(\.[0-9]+)?[ \t\n\r\f\v]*(B|Byte|byte|b|bit)?$)"
# not the root in any spelling, and no '..'
_FOLDER = r"^/(?!(/|\./)*\.?$)(?!(.*/)?\.\.(/|$))[^\u0000\n\r\u0085\u2028\u2029]*$"

_URI: Schema = {"type": "string", "format": "uri", "pattern": f"^{reader.URI}$"}
_TEXT: Schema = {"type": "string"}
_NAME: Schema = {**_TEXT, "minLength": 3, "maxLength": 30, "pattern": r"^[a-zA-Z0-9_ \t\n\r\f\v-]*$"}
_ITEM: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\r\n]+$"}
_DATETIME: Schema = {"type": "string", "format": "date-time"}
_BOUND: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_DEPENDENCIES: Schema = {"type": "object"}
_LINKS: Schema = {"source_code": _URI, "doi": {"type": "array", "items": _URI}, "dois": {}}
_EXTERNAL: Schema = {"type": "object", "properties": _LINKS}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _described(schema: Schema, description: str, **more: Any) -> Schema:
    return {**schema, **more, "description": description}


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
    "subtype": (_ref("type"), "Type of the items."),
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
    "string": _TEXT,
    "enumeration": _ITEM,
    "datetime": _DATETIME,
}


def schema() -> Schema:
    """Return the schema as JSON data."""
    return {
        "$schema": DIALECT,
        "title": "Descriptor of a task",
        "type": "object",
        "required": list(reader.REQUIRED),
        "properties": {
            "$schema": _described(_URI, "URI of the schema of this descriptor."),
            "name": _described(_NAME, "Display name of the task."),
            "name_short": {"description": "Short form of the name. Required by App Engine."},
            "version": _described(_TEXT, "Semantic version, e.g. 1.0.0.", pattern=f"^{reader.VERSION}$"),
            "namespace": _described(
                _TEXT,
                "Identifies the task with its version, e.g. com.example.count.",
                pattern=f"^{reader.NAMESPACE}$",
            ),
            "description": _described(_TEXT, "What the task does.", maxLength=2048),
            "authors": _described(
                {"type": "array", "minItems": 1, "items": _author()},
                "Authors of the task. App Engine requires all four strings of each.",
            ),
            "external": _described(_EXTERNAL, "Links to more information about the task."),
            "configuration": _described(_configuration(), "Folders and resources of the task."),
            "inputs": _described(_parameters("input"), "Inputs of the task by name."),
            "outputs": _described(_parameters("output"), "Outputs of the task by name."),
        },
        "$defs": {
            "type": {"oneOf": [_ref(name) for name in TYPES]},
            **{name: _type(name, kind) for name, kind in TYPES.items()},
            "parameter": _parameter(),
            "input": _input(),
            "output": {"allOf": [_ref("parameter"), {"properties": {"dependencies": _DEPENDENCIES}}]},
        },
    }


def _author() -> Schema:
    texts = ("first_name", "last_name", "organization")
    return {
        "type": "object",
        "properties": {
            **dict.fromkeys(texts, _TEXT),
            "email": {"type": "string", "format": "email", "pattern": f"^{reader.EMAIL}$"},
            "is_contact": _described(_FLAG, "Whether to contact this author.", default=False),
        },
    }


def _configuration() -> Schema:
    standard = ResourceRequest()
    folder: Schema = {"type": "string", "pattern": _FOLDER}
    count: Schema = {"type": "integer", "minimum": 0}
    resources = {
        "ram": _described(_TEXT, "Memory limit, e.g. 512Mi or 2Gi.", pattern=_MEMORY, default="4Gi"),
        "cpus": _described(count, "Number of CPUs.", default=standard.cpus),
        "gpus": _described(count, "Number of GPUs.", default=standard.gpus),
        "internet": _described(_FLAG, "Whether the task has network access.", default=standard.internet),
    }
    return {
        "type": "object",
        "properties": {
            "input_folder": _described(folder, "Input folder in the container.", default="/inputs"),
            "output_folder": _described(folder, "Output folder in the container.", default="/outputs"),
            "image": {"description": "Name of the image archive. App Engine ignores it."},
            "resources": {"type": "object", "description": "Resources of a run.", "properties": resources},
        },
    }


def _parameters(kind: str) -> Schema:
    return {
        "type": "object",
        "patternProperties": {"^[a-zA-Z0-9_]+$": _ref(kind)},
        "additionalProperties": False,
    }


def _parameter() -> Schema:
    return {
        "type": "object",
        "required": ["type", "description"],
        "properties": {
            "type": _ref("type"),
            "description": _described(_TEXT, "Description of the parameter."),
            "display_name": _described(_TEXT, "Display name of the parameter.", minLength=1),
            "optional": _described(
                _FLAG, "Whether an input may be omitted. App Engine requires every output.", default=False
            ),
        },
    }


def _input() -> Schema:
    """Return the schema of an input: a default matches the type, and only arrays have dependencies."""
    array = {"type": "object", "required": ["id"], "properties": {"id": {"const": "array"}}}
    rules: list[Schema] = [
        {"if": {"properties": {"type": array}}, "then": {"properties": {"dependencies": _DEPENDENCIES}}}
    ]
    rules += [
        {"if": {"properties": {"type": _ref(name)}}, "then": {"properties": {"default": default}}}
        for name, default in _DEFAULTS.items()
    ]
    return {"allOf": [_ref("parameter"), *rules]}


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
        items = {"type": "string", "enum": list(_FORMATS[name])}
        array = {"type": "array", "minItems": 1, "items": items}
        return _described(array, "Allowed formats. Any format if omitted.")
    found, meaning = _FIELDS[field]
    if found is _BOUND and kind is Integer:
        found = _COUNT
    has_default = isinstance(default, (bool, int))
    return {**found, "description": meaning, **({"default": default} if has_default else {})}
