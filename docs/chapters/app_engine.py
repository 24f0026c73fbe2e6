"""App Engine's API: its requests, and where localrun differs."""

from __future__ import annotations

from typing import Any

from localrun.server.appengine.application import openapi_document
from localrun.server.appengine.deviations import DEVIATIONS
from localrun.server.appengine.paths import DEFAULT_PREFIXES

from chapters.page import Page, code, sentence


def page() -> Page:
    """Return the page of requests and deviations."""
    prefixes = " and ".join(code(f"{prefix}v1/") for prefix in DEFAULT_PREFIXES)
    made = Page(
        "App Engine's API",
        f"`localrun serve` answers the requests of Cytomine's App Engine below {prefixes}; "
        "`--api-prefix` chooses other prefixes. `/app-engine/v1/openapi.json` is the OpenAPI document. "
        "A run is a task of localrun with the same id.",
    )
    made.head("Requests")
    made.table(
        ["request", "description", "body", "response"],
        [
            [
                code(f"{method.upper()} {path.removeprefix('/v1/')}"),
                sentence(one["summary"]),
                _content(one.get("requestBody", {}).get("content", {})),
                _content(
                    next(one["responses"][key] for key in ("200", "204") if key in one["responses"]).get(
                        "content", {}
                    )
                ),
            ]
            for path, methods in openapi_document()["paths"].items()
            for method, one in methods.items()
        ],
    )
    made.head("Deviations")
    made.prose(
        "Where App Engine has a bug that only hurts its clients, localrun does what was intended, and some "
        "requests are refused for the safety of this machine. A response that differs has a `Warning` "
        'header, `299 localrun "App Engine ..."`, with the text of the first column.'
    )
    made.table(
        ["App Engine ...", "localrun", "kind"],
        [[row.app_engine, row.here, row.kind] for row in DEVIATIONS.values()],
    )
    return made


def _content(content: dict[str, Any]) -> str:
    for media, found in content.items():
        schema = found["schema"]
        if media != "application/json":
            parts = ", ".join(map(code, schema.get("properties", {})))
            return f"`{media}`" + (f" with {parts}" if parts else "")
        return _name(schema)
    return ""


def _name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return code(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"a list of {_name(schema['items'])}"
    return " or ".join(_name(one) if "$ref" in one else code("null") for one in schema["anyOf"])
