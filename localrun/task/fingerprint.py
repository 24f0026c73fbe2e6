"""What the result of a task depends on, to find a finished task with the same result.

Limits (CPUs, memory, time), retries, metadata and the names of files are left out: they decide whether a task
finishes, or describe it, but do not change its result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from localrun.masking.masker import MASK
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.undecodable import encode_record

_FORMAT = 1  # changed if a new version would give other results for the same parts
_INPUTS = "inputs."
MOUNTS = "mounts."
SECRETS = "secrets."
_SHOWN = 40  # characters of a value in a difference
_PLAN_FIELDS = ("command", "hardened", "writable_inputs", "hostname", "profile", "callback")
_CONTENT = "0x"  # the start of a digest, and of no JSON value
_UNREAD = "~"  # the start of what stands for a content that was not read

Parts = dict[str, str]


def mount_part(target: str) -> str:
    """Return the name of the content that is mounted at `target`."""
    return f"{MOUNTS}{target}"


def parts_of(record: TaskRecord, descriptor: bytes) -> Parts:
    """Return what the result depends on, by name: values as JSON, and contents as digests.

    An empty string stands for a content that is not known; see `RunPlan.contents`.
    """
    plan = record.run_plan
    contents = plan.contents or {}
    found = {name: _json(getattr(plan, name)) for name in _PLAN_FIELDS}
    found |= {f"environment.{name}": _json(value) for name, value in plan.environment.items()}
    for mount in plan.bind_mounts:
        name = mount_part(mount.target)
        found[name] = contents.get(name, "") and f"{contents[name]} {mount.mode}"
    found |= {name: digest for name, digest in contents.items() if name.startswith(SECRETS)}
    for name, value in record.inputs.items():
        content = contents.get(f"{_INPUTS}{name}")
        found[f"{_INPUTS}{name}"] = _json(value) if content is None else content
    for place, crop in record.crops.items():  # it decides where the outputs are in the whole image
        found[f"{_INPUTS}{place}.crop"] = _json([crop.geometry, crop.offset, crop.size, crop.image_size])
    found["gpus"] = _json(record.resources.gpus)
    found["network"] = _json(record.network)
    found["descriptor"] = f"{_CONTENT}{hashlib.sha256(descriptor).hexdigest()}"
    found["image"] = f"{_CONTENT}{record.image} {record.platform}"
    return found


def fingerprint(parts: Mapping[str, str]) -> str:
    """Return the SHA-256 of the parts, as 64 hexadecimal digits."""
    return hashlib.sha256(encode_record([_FORMAT, sorted(parts.items())])).hexdigest()


def is_known(record: TaskRecord, parts: Mapping[str, str]) -> bool:
    """Return whether all contents are known. Those of a task of an older version are not."""
    return record.run_plan.contents is not None and all(parts.values())


def input_part(name: str) -> str:
    return f"{_INPUTS}{name}"


def obstacle(record: TaskRecord, *, network: bool = False) -> str:
    """Return why the result of a task is never reused; empty if it may be.

    `network` allows results that may depend on the network or on secrets.
    """
    plan = record.run_plan
    if record.kind != "container" or record.replica is not None:
        return "a task with replicas always runs" if record.kind == "replicated" else "it has no container"
    written = next((mount for mount in plan.bind_mounts if not mount.read_only), None)
    if written is not None:
        return f"it can write to {written.source}, which is mounted"
    if network:
        return ""
    if record.network:
        return "it may use the network; --reuse-all includes such tasks"
    return "it has secrets; --reuse-all includes such tasks" if plan.secret_names else ""


def ran_once(record: TaskRecord) -> bool:
    """Return whether no container of the task was lost, so that it ran from start to end."""
    return sum(state is TaskState.RUNNING for state, _ in record.history) == 1


def comparable(after: Parts, unread: Parts, before: Parts) -> Parts:
    """Return the parts of a task, with those of `unread` where the earlier task did not read its files."""
    return {
        name: unread.get(name, value) if before.get(name, "")[:1] == _UNREAD else value
        for name, value in after.items()
    }


def distance(before: Parts, after: Parts) -> int:
    """Return how many parts differ."""
    return sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())


def differences(before: Parts, after: Parts) -> Iterator[str]:
    """Yield what differs between two tasks, e.g. `image changed` or `inputs.threshold 10 -> 12`."""
    for name in sorted(before.keys() | after.keys(), key=_order):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        shown = [_shown(name, value) for value in (old, new)]
        yield f"{name} changed" if None in shown else f"{name} {shown[0]} -> {shown[1]}"


def _order(name: str) -> tuple[int, str]:
    """Sort the image and the descriptor before options, and these before inputs."""
    return (0 if name in ("image", "descriptor") else 2 if name.startswith(_INPUTS) else 1, name)


def _shown(name: str, value: str | None) -> str | None:
    """Return a value for display; None if it is a content, long, or might be a secret."""
    if value is None:
        return "(not set)"
    is_plain = not name.startswith(("environment.", SECRETS, MOUNTS)) and len(value) <= _SHOWN
    if not is_plain or not value or value[:1] == _UNREAD or value.startswith(_CONTENT):
        return None
    from localrun.masking.redaction import Redactor

    return None if MASK in str(Redactor().redact({name: value})) else value


def _json(value: Any) -> str:
    return encode_record(value).decode()
