"""The OpenAPI document of the API: the bodies of requests and responses, by operation.

The routes read their requests themselves, because App Engine's answers to invalid requests are not those of
FastAPI.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from localrun.server.appengine.schemas import SCHEMAS

Schema = dict[str, Any]

JSON, OCTETS, FORM, TEXT = "application/json", "application/octet-stream", "multipart/form-data", "text/plain"
_FILE: Schema = {"type": "string", "format": "binary"}
_MEANINGS = {
    200: "Success.",
    206: "The requested range of the file.",
    204: "Success.",
    400: "The request is invalid.",
    401: "The token is missing or invalid.",
    403: "The state of the run does not allow it, or the request comes from another web site.",
    404: "The task, run, parameter or store was not found.",
    408: "The request did not arrive in time.",
    409: "A task of this namespace and version exists.",
    413: "The request body is too large.",
    415: "The body is compressed.",
    416: "The range starts after the end of the file.",
    421: "The host name is unknown.",
    500: "App Engine answers so to a failure, an unknown address, and some invalid requests.",
}
_ALWAYS = (400, 401, 403, 404, 408, 413, 415, 421, 500)


class Operation(NamedTuple):
    """The success of an operation, and its request body. `also` are further statuses.

    `content` is a schema, or None for an empty body; `media` its type, or `other_media`. `parameters` are
    those of the query.
    """

    content: Schema | None = None
    media: str = JSON
    body: Schema | None = None
    body_media: str = JSON
    status: int = 200
    also: tuple[int, ...] = ()
    parameters: tuple[Schema, ...] = ()
    other_media: str = ""


def _ref(name: str) -> Schema:
    assert name in SCHEMAS
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _form(*names: str) -> Schema:
    return {"type": "object", "required": [names[0]], "properties": dict.fromkeys(names, _FILE)}


_INDEX: Schema = {
    "name": "value",
    "in": "query",
    "required": True,
    "description": "The index of the item, e.g. `0`, or `0/1` in a nested array.",
    "schema": {"type": "string"},
}
_DOWNLOAD = Operation(_FILE, OCTETS, also=(206, 416))
_VALUE = _DOWNLOAD._replace(other_media="application/geo+json")  # of `NAME.geojson`
_ZIP = Operation(_FILE, OCTETS)
_ITEM = _DOWNLOAD._replace(parameters=(_INDEX,))
_TASK, _ID = "/v1/tasks/{namespace}/{version}", "/v1/tasks/{id}"
_RUN = "/v1/task-runs/{run}"
_PROVISIONS = f"{_RUN}/input-provisions"

OPERATIONS: dict[str, Operation] = {
    "GET /ping": Operation(_ref("Ping")),
    "GET /v1/stores": Operation(_list("AppStore")),
    "POST /v1/stores": Operation(_ref("AppStore"), body=_ref("NewAppStore")),
    "GET /v1/stores/default": Operation({"anyOf": [_ref("AppStore"), {"type": "null"}]}),
    "DELETE /v1/stores/{id}": Operation(status=204),
    "PUT /v1/stores/{id}/default": Operation(),
    "POST /v1/tasks": Operation(_ref("TaskDescription"), body=_form("task"), body_media=FORM, also=(409,)),
    "GET /v1/tasks": Operation(_list("TaskDescription")),
    f"DELETE {_TASK}": Operation(),
    f"GET {_TASK}/logo": _DOWNLOAD,
    f"GET {_TASK}/bundle.zip": _DOWNLOAD,
    f"POST {_TASK}/install": Operation(_ref("TaskDescription"), also=(409,)),
    f"GET {_TASK}/runs": Operation(_list("TaskRun")),
    **{
        f"{method} {task}{path}": operation
        for task in (_TASK, _ID)
        for method, path, operation in (
            ("GET", "", Operation(_ref("TaskDescription"))),
            ("GET", "/inputs", Operation(_list("TaskInput"))),
            ("GET", "/outputs", Operation(_list("TaskOutput"))),
            ("GET", "/descriptor.yml", _DOWNLOAD),
            ("POST", "/runs", Operation(_ref("TaskRun"))),
        )
    },
    f"GET {_RUN}": Operation(_ref("TaskRunResponse")),
    f"DELETE {_RUN}": Operation(),
    f"GET {_RUN}/logs": Operation({"type": "string"}, TEXT),
    f"POST {_RUN}/state-actions": Operation(_ref("StateChanged"), body=_ref("StateAction")),
    f"PUT {_PROVISIONS}": Operation(_list("Provisioned"), body=_list("Provision")),
    f"PUT {_PROVISIONS}/{{name}}": Operation(_ref("Provisioned"), body=_ref("Provision")),
    f"POST {_PROVISIONS}/{{name}}": Operation(
        _ref("Provisioned"), body=_form("file", "location"), body_media=FORM
    ),
    f"PUT {_PROVISIONS}/{{name}}/indexes": Operation(
        _ref("ProvisionedItem"), body=_ref("ItemProvision"), parameters=(_INDEX,)
    ),
    f"POST {_PROVISIONS}/{{name}}/indexes": Operation(
        _ref("ProvisionedItem"), body=_form("file"), body_media=FORM, parameters=(_INDEX,)
    ),
    f"GET {_RUN}/inputs": Operation(_list("ParameterValue")),
    f"GET {_RUN}/outputs": Operation(_list("ParameterValue")),
    f"GET {_RUN}/inputs.zip": _ZIP,
    f"GET {_RUN}/outputs.zip": _ZIP,
    f"GET {_RUN}/input/{{name}}": _VALUE,
    f"GET {_RUN}/output/{{name}}": _VALUE,
    f"GET {_RUN}/input/{{name}}/indexes": _ITEM,
    f"GET {_RUN}/output/{{name}}/indexes": _ITEM,
    f"POST {_RUN}/{{secret}}/outputs.zip": Operation(
        _list("ParameterValue"), body=_form("outputs"), body_media=FORM
    ),
}


def document(found: Schema) -> Schema:
    """Add the bodies of requests and responses to the document of the routes, and return it."""
    for path, methods in found["paths"].items():
        for method, described in methods.items():
            _describe(described, OPERATIONS[f"{method.upper()} {path}"])
    found["paths"]["/ping"]["get"]["servers"] = [{"url": "/"}]  # it has no prefix
    found["components"] = {"schemas": SCHEMAS}
    return found


def _describe(described: Schema, operation: Operation) -> None:
    answers = {operation.status: _answer(operation.status, operation.media, operation.content)}
    if operation.other_media:
        answers[operation.status]["content"][operation.other_media] = {"schema": {}}  # that of the file
    for status in (*_ALWAYS, *operation.also):
        if status == 206:
            answers[status] = _answer(status, operation.media, operation.content)
        elif status == 416:
            answers[status] = _answer(status, JSON, None)
        elif status == 403:
            answers[status] = _answer(status, JSON, _ref("Error"))
            answers[status]["content"][TEXT] = {"schema": {"type": "string"}}
        else:
            answers[status] = _answer(status, JSON, _ref("Error"))
    described["responses"] = {str(status): answer for status, answer in sorted(answers.items())}
    described["parameters"] = [*described.get("parameters", ()), *operation.parameters]
    if operation.other_media:  # a range has the same type
        described["responses"]["206"] = described["responses"]["200"] | {"description": _MEANINGS[206]}
    if operation.body is not None:
        content = {operation.body_media: {"schema": operation.body}}
        described["requestBody"] = {"required": True, "content": content}


def _answer(status: int, media: str, content: Schema | None) -> Schema:
    answer: Schema = {"description": _MEANINGS[status]}
    if content is not None:
        answer["content"] = {media: {"schema": content}}
    return answer
