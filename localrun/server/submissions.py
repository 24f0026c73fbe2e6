"""Tasks as clients can submit them again: the JSON object, and the files to upload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, File, Geometry, Image
from localrun.errors import InputsError
from localrun.report.details.commands import curl_command, options_of
from localrun.server.bundle_store import BundleStore
from localrun.task.record import BUILD_OPTIONS, StoredOptions, TaskRecord

_FILES = (File, Image, Geometry)
_LIMITS = ("cpus", "memory", "gpus")
_NOT_SENT = frozenset(
    {"detached", "hostname", "environment", "build_secret_ids", "profile", "callback", "pull", "bind_mounts"}
)


class RepeatedSubmission(NamedTuple):
    """The `task` of `POST /task`, and the paths of inputs to send with PUT afterwards, by name."""

    task: dict[str, Any]
    uploads: dict[str, str]


def of_record(
    record: TaskRecord, store: BundleStore, descriptor: Descriptor | None
) -> RepeatedSubmission | None:
    """Return how to submit a task again; None if a client cannot, because its bundle is not served."""
    plan = record.run_plan
    if record.submitted is not None:
        given = record.submitted.get("inputs")
        names = given if isinstance(given, Mapping) else record.inputs
        uploads = {
            name: value
            for name, value in record.inputs.items()
            if name not in names and isinstance(value, str) and value.startswith("/")
        }
        return RepeatedSubmission(dict(record.submitted), uploads)
    reference = store.reference(Path(plan.bundle)) if plan.bundle else None
    if reference is None or descriptor is None or plan.profile != "bundle" or plan.secret_names:
        return None
    inputs, uploads = _inputs(record, store, descriptor)
    return RepeatedSubmission(
        {"bundle": reference, "inputs": inputs, **_options(record, descriptor)}, uploads
    )


def _inputs(
    record: TaskRecord, store: BundleStore, descriptor: Descriptor
) -> tuple[dict[str, Any], dict[str, str]]:
    inputs: dict[str, Any] = {}
    uploads: dict[str, str] = {}
    for name, value in (record.inputs or record.run_plan.values).items():
        parameter = descriptor.inputs.get(name)
        kind = parameter.type if parameter else None
        if isinstance(kind, _FILES) and isinstance(value, str) and value.startswith("/"):
            served = _served(value, store)
            if served is None:
                uploads[name] = value
            else:
                inputs[name] = served
        elif isinstance(kind, Array) and isinstance(kind.subtype, _FILES) and isinstance(value, list):
            items = [_served(item, store) if isinstance(item, str) else None for item in value]
            if None not in items:
                inputs[name] = items
        else:
            inputs[name] = value
    return inputs, uploads


def _served(path: str, store: BundleStore) -> str | None:
    """Return the name of a file for a client, or None if clients may not read it."""
    try:
        return f"@{store.relative(store.find_file(path))}"
    except InputsError:
        return None


def _options(record: TaskRecord, descriptor: Descriptor) -> dict[str, Any]:
    """Return the options that are not the default or the descriptor's."""
    found, asked, defaults = options_of(record), descriptor.resources, StoredOptions()
    resources = {name: found[name] for name in _LIMITS if found[name] != getattr(asked, name)}
    options = {
        name: found[name]
        for name in StoredOptions.__struct_fields__
        if name not in _NOT_SENT | {*BUILD_OPTIONS, "command"} and found[name] != getattr(defaults, name)
    }
    if found["network"] != asked.internet:
        options["network"] = found["network"]
    if found["metadata"]:
        options["metadata"] = found["metadata"]
    if found["timeout"] is not None:
        options["timeout"] = found["timeout"]
    return {**({"resources": resources} if resources else {}), **options}


def curl(submission: RepeatedSubmission | None, base_url: str, *, has_token: bool) -> str:
    """Return the curl commands for a submission; empty if there is none."""
    if submission is None:
        return ""
    return curl_command(base_url, submission.task, submission.uploads, has_token=has_token)
