"""The HTTP interface, from its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from localrun.server.application import openapi_document

from chapters.page import Page, anchor, code, sentence

Schema = dict[str, Any]

_TITLES = {
    "tasks": "Tasks",
    "batches": "Batches",
    "health": "Server",
    "watching": "Logs and events",
    "files": "Inputs and outputs",
    "images": "Images and geometries",
    "bundles": "Bundles",
    "session": "Sessions of the web page",
}
_FORMATS = {"binary": "a file"}


def page() -> Page:
    """Return the page of requests, schemas and statuses."""
    made = Page(
        "HTTP",
        "The HTTP API of `localrun serve`, generated from its `/openapi.json`, which `/docs` shows as well. "
        "[The guide](../http.md) explains how to use it.",
    )
    found = openapi_document()
    requests = list(_requests(found))
    made.head("Requests")
    made.table(
        ["request", "description"],
        [[f"[`{title}`](#{anchor(title)})", sentence(one["summary"])] for title, one in requests],
    )
    _statuses(made, requests)
    for tag, name in _TITLES.items():
        made.head(name)
        for title, one in requests:
            if tag in one["tags"]:
                _request(made, title, one)
    made.head("Schemas")
    made.prose("The content of request and response bodies. A response may have more keys than listed here.")
    for name, schema in sorted(found["components"]["schemas"].items()):
        _form(made, name, schema)
    return made


def _requests(found: Schema) -> Iterator[tuple[str, Schema]]:
    known = set()
    for path, methods in found["paths"].items():
        for method, one in methods.items():
            known.update(one["tags"])
            yield f"{method.upper()} {path}", one
    assert known == set(_TITLES), "a tag has no heading"


def _statuses(made: Page, requests: list[tuple[str, Schema]]) -> None:
    """Add what each status means; common ones are not repeated for each request."""
    said = {
        int(status): answer["description"]
        for _, one in requests
        for status, answer in one["responses"].items()
        if int(status) >= 400
    }
    made.head("Errors")
    made.prose(
        "The body of an error response is an [`ErrorResponse`](#errorresponse), that of a 422 a "
        "[`ValidationErrorResponse`](#validationerrorresponse), which lists every problem with its "
        "location. Any request may get 400, 401, 403, 413, 421, 422 and 500; other statuses are listed with "
        "their requests."
    )
    made.table(["status", "meaning"], [[str(status), text] for status, text in sorted(said.items())])


_ANY = {400, 401, 403, 413, 421, 422, 500}


def _request(made: Page, title: str, one: Schema) -> None:
    made.head(title, 3)
    made.prose(f"{sentence(one['summary'])}\n\n{one['description']}")
    made.table(
        ["parameter", "in", "type", "meaning"],
        [
            [
                code(each["name"]),
                each["in"],
                _kind(each["schema"]) + _default(each["schema"]),
                each.get("description", ""),
            ]
            for each in one.get("parameters", [])
        ],
    )
    if "requestBody" in one:
        body = one["requestBody"]
        need = "" if body.get("required") else ", optional"
        note = f"; {body['description']}" if body.get("description") else ""
        made.prose(f"Request body: {_content(body['content'])}{need}{note}")
    made.prose(f"Response: {_content(one['responses']['200']['content'])}")
    own = [status for status in sorted(map(int, one["responses"])) if status >= 400 and status not in _ANY]
    if own:
        made.prose(f"Other errors: {', '.join(map(str, own))}.")


def _content(content: Schema) -> str:
    """Return the schemas and media types of a body; empty schemas are left out."""
    parts = [
        _kind(each["schema"]) if media == "application/json" else f"`{media}`"
        for media, each in content.items()
        if each["schema"] or len(content) == 1
    ]
    return " or ".join(dict.fromkeys(parts))


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[`{name}`](#{anchor(name)})"
    choices = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if choices:
        return " or ".join(map(_kind, choices))
    if "enum" in schema:
        return ", ".join(map(code, schema["enum"]))
    if "const" in schema:
        return code(schema["const"])
    if schema.get("type") == "array":
        inner = _kind(schema["items"])
        return "a list of objects" if inner == "an object" else f"a list of {inner}"
    return _FORMATS.get(schema.get("format", ""), _WORDS.get(schema.get("type", ""), "any value")) + _bounds(
        schema
    )


_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
}


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if low is not None else ""


def _default(schema: Schema) -> str:
    return f"; default {code(json.dumps(schema['default']))}" if schema.get("default") is not None else ""


def _form(made: Page, name: str, schema: Schema) -> None:
    made.head(name, 3)
    made.prose(schema.get("description", ""))
    if "enum" in schema:
        made.prose(f"One of {', '.join(map(code, schema['enum']))}.")
    required = schema.get("required", [])
    made.table(
        ["key", "type", "meaning"],
        [
            [
                code(key),
                _kind(inner) + _default(inner) + ("" if key in required else "; optional"),
                inner.get("description", ""),
            ]
            for key, inner in schema.get("properties", {}).items()
        ],
    )
