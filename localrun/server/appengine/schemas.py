"""The JSON Schemas of the API's objects."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "number"}
_INTEGER: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_ANY: Schema = {}
_ID: Schema = {"type": "string", "format": "uuid"}
_TYPES = (
    *("boolean", "integer", "number", "string", "enumeration", "datetime", "geometry"),
    *("file", "image", "array"),
)
_STATES = ("CREATED", "PROVISIONED", "QUEUING", "QUEUED", "PENDING", "RUNNING", "FINISHED", "FAILED")


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Schema, optional: Schema | None = None, description: str = "") -> Schema:
    """Return the schema of an object by the schemas of its keys."""
    found: Schema = {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }
    return {**found, "description": description} if description else found


_AUTHOR = _object(
    {
        **dict.fromkeys(("firstName", "lastName", "organization", "email"), _TEXT),
        "isContact": _FLAG,
    }
)
_RUN: Schema = {"id": _ID, "task": _ref("TaskDescription"), "state": {"enum": list(_STATES)}}
_RUN_TIMES: Schema = {"createdAt": _TEXT, "updatedAt": _TEXT_OR_NULL}

SCHEMAS: dict[str, Schema] = {
    "Ping": _object({"status": {"const": "UP"}, "timestamp": _TEXT, "service": _TEXT}),
    "Error": _object(
        {"errorCode": _TEXT, "message": _TEXT},
        {"details": _ref("Details")},
        "A refusal. One with status 403 has no details.",
    ),
    "Details": _object(
        {"type": {"enum": ["empty", "parameter", "related", "batch", "server"]}},
        {
            "parameterName": _TEXT,
            "description": _TEXT,
            "errors": {"type": "array", "items": _ref("Error")},
            "exceptionMessage": _TEXT_OR_NULL,
        },
        "`parameter` and `related` name a parameter, `batch` has one error for each problem.",
    ),
    "TaskDescription": _object(
        {
            "id": _ID,
            **dict.fromkeys(("name", "namespace", "version"), _TEXT),
            "description": _TEXT_OR_NULL,
            "authors": {"type": "array", "items": _AUTHOR},
        }
    ),
    "TaskInput": _object(
        {
            "id": _ID,
            **dict.fromkeys(("default", "name", "display_name", "description"), _TEXT),
            "optional": _FLAG,
            "type": _ref("Type"),
        },
        description="An input. `default` is the string `null` if there is none.",
    ),
    "TaskOutput": _object(
        {
            "id": _ID,
            **dict.fromkeys(("name", "displayName", "description"), _TEXT),
            "optional": {"const": False},
            "type": _ref("Type"),
            "derivedFrom": _TEXT_OR_NULL,
        },
        description="An output. `derivedFrom` is the name of an input.",
    ),
    "Type": _object(
        {"id": {"enum": list(_TYPES)}},
        {
            **dict.fromkeys(("gt", "geq", "lt", "leq"), _NUMBER),
            **dict.fromkeys(("infinityAllowed", "nanAllowed"), _FLAG),
            **dict.fromkeys(("minLength", "maxLength", "minSize", "maxSize"), _INTEGER),
            "values": {"type": "array", "items": _TEXT},
            **dict.fromkeys(("before", "after"), _TEXT),
            "formats": {"type": ["array", "null"], "items": _TEXT},
            "subType": _ref("Type"),
        },
        "The type of a parameter. The keys depend on `id`; bounds that are not set are omitted.",
    ),
    "TaskRun": _object(_RUN),
    "TaskRunResponse": _object({**_RUN, **_RUN_TIMES}),
    "StateAction": _object(
        {"desired": {"enum": ["PROVISIONED", "RUNNING", "FINISHED"]}},
        description="The requested state of a run.",
    ),
    "StateChanged": _object({"status": {"const": "success"}, "resource": _ref("TaskRunResponse")}),
    "Provision": {
        **_object(
            {"parameterName": _TEXT, "value": _ANY},
            {"type": {"enum": [kind.upper() for kind in _TYPES]}},
            "The value of an input. Other keys are refused.",
        ),
        "additionalProperties": False,
    },
    "ItemProvision": _object(
        {"value": _ANY}, {"index": _ANY, "type": _ANY}, "The value of an item of an array."
    ),
    "Provisioned": _object(
        {"parameterName": _TEXT, "taskRunId": _ID},
        {"value": _ANY},
        "An input that was set; the value of a file or image is omitted.",
    ),
    "ProvisionedItem": _object(
        {"index": _TEXT, "taskRunId": _ID},
        {"value": _ANY},
        "An item that was set; the value of a geometry, file or image is omitted.",
    ),
    "ParameterValue": _object(
        {
            "taskRunId": _ID,
            "parameterName": _TEXT,
            "type": {"enum": [kind.upper() for kind in _TYPES]},
            "value": _ANY,
        },
        {"subType": _TEXT},
        "A value of a run. A geometry is a string with GeoJSON, and the value of a file or image is null. An"
        " array is a list of objects with `index` and `value`.",
    ),
    "NewAppStore": _object({"name": _TEXT, "host": _TEXT}),
    "AppStore": _object({"id": _ID, "name": _TEXT, "host": _TEXT, "defaultStore": _FLAG}),
}
