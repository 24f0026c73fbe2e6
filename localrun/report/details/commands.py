"""Commands that run a task again: for a shell, and over HTTP."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localrun.descriptor import Descriptor
from localrun.descriptor.model import ResourceRequest
from localrun.masking.redaction import Redactor
from localrun.task import metadata
from localrun.task.record import RunPlan, StoredOptions, TaskRecord

_FLAGS = ("writable_inputs", "copy_inputs", "hardened")
_VALUES = ("image", "retries", "replicas", "agree", "pull", "dockerfile", "context", "target", "platform")
_PLAIN = StoredOptions()


def run_command(
    bundle: str, values: Mapping[str, Any], options: Mapping[str, Any], descriptor: Descriptor | None = None
) -> str:
    """Return a `localrun run` command.

    `options` are fields of `RunOptions`; those that are the descriptor's own are left out. Files in `values`
    are absolute paths, or start with `@`.
    """
    words = ["localrun", "run", bundle]
    words += [
        word
        for name, value in Redactor().redact(dict(values)).items()
        for word in ("-i", f"{name}={_text(value)}")
    ]
    words += _options(options, descriptor)
    return shlex.join(words)


def curl_command(
    base_url: str, submission: Mapping[str, Any], uploads: Mapping[str, str], *, has_token: bool
) -> str:
    """Return curl commands that submit a task, and upload the files `uploads` by input name."""
    body = json.dumps(
        {"task": Redactor().redact(dict(submission)), "assigned_by": "curl"}, ensure_ascii=False
    )
    head = ["curl"]
    token = ' -H "Authorization: Bearer $LOCALRUN_TOKEN"' if has_token else ""
    submit = f"{shlex.join([*head, '-d', body])}{token} {base_url}/task"
    if not uploads:
        return submit
    lines = [f"ID=$({shlex.join([*head, '-s', '-d', body])}{token} {base_url}/task | jq -r .task_id)"]
    for name, path in uploads.items():
        lines.append(f"curl -T {shlex.quote(path)}{token} {base_url}/task/$ID/inputs/{name}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return f"@{value}" if value.startswith("/") else value
    if (
        isinstance(value, list)
        and value
        and all(isinstance(item, str) and item.startswith("/") for item in value)
    ):
        parents = {str(Path(item).parent) for item in value}
        return f"@{parents.pop()}" if len(parents) == 1 else json.dumps([f"@{item}" for item in value])
    return json.dumps(value, ensure_ascii=False)


def _options(options: Mapping[str, Any], descriptor: Descriptor | None) -> Iterator[str]:
    yield from _limits(options, descriptor.resources if descriptor is not None else ResourceRequest())
    for name in _VALUES:
        value = options.get(name)
        if value is not None and value != getattr(_PLAIN, name):
            yield from (f"--{'file' if name == 'dockerfile' else name}", str(value))
    yield from (f"--{name.replace('_', '-')}" for name in _FLAGS if options.get(name))
    yield from (word for mount in options.get("bind_mounts") or () for word in ("--mount", str(mount)))
    for key, value in Redactor().redact(dict(options.get("metadata") or {})).items():
        yield from ("--metadata", f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    for option, pairs in (("--build-arg", "build_args"), ("--build-context", "build_contexts")):
        for key, value in Redactor().redact(dict(options.get(pairs) or {})).items():
            yield from (option, f"{key}={value}")


def _limits(options: Mapping[str, Any], asked: ResourceRequest) -> Iterator[str]:
    """Yield the options for limits that are not the descriptor's."""
    for name, default in (("cpus", asked.cpus), ("gpus", asked.gpus)):
        value = options.get(name)
        if value is not None and value != default:
            yield from (f"--{name}", f"{value:g}")
    memory, network, timeout = (options.get(name) for name in ("memory", "network", "timeout"))
    if memory is not None and memory != asked.memory:
        yield from ("--memory", _size(memory))
    if network is not None and network != asked.internet:
        yield "--network" if network else "--no-network"
    if timeout is not None:
        yield from ("--timeout", f"{timeout:g}s")


def _size(size: int) -> str:
    for factor, unit in ((1024**3, "Gi"), (1024**2, "Mi"), (1024, "Ki")):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def options_of(record: TaskRecord) -> dict[str, Any]:
    """Return the options of a task as fields of `RunOptions`."""
    plan: RunPlan = record.run_plan
    kept = {name: getattr(plan, name) for name in StoredOptions.__struct_fields__}
    resources = record.resources
    limits = {"cpus": resources.cpus, "memory": resources.memory, "gpus": resources.gpus}
    agree = None if plan.replicas == 1 else plan.agree
    return {
        **kept,
        **limits,
        "network": record.network,
        "timeout": record.timeout,
        "agree": agree,
        "metadata": metadata.of(record),
    }
