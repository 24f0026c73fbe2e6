"""The JSON Schema of records, generated from their types."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from localrun.errors import Cause
from localrun.task.record import TaskRecord

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `task.json` and of a task in the output of `--json`.

    Keys may be added within a format, so unknown ones are valid.
    """
    generated = msgspec.json.schema(TaskRecord)
    definitions: dict[str, Any] = generated["$defs"]
    for definition in definitions.values():
        if "description" in definition:
            definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())
    record = definitions.pop("TaskRecord")
    properties = record["properties"]
    properties["format"]["description"] = "The format; it changes only if old programs cannot read it."
    properties["cause"]["description"] = f"Why it ended: {', '.join(map(str, Cause))}."
    properties["image"]["type"] = ["string", "null"]  # null in the output of `--json`
    record["title"] = "A task of localrun"
    return {"$schema": _DIALECT, **record, "$defs": definitions}
