"""The `docker run` command that runs the program of a task by hand."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterator
from pathlib import Path

from localrun.engines.base import ContainerSpec
from localrun.masking.masker import MASK
from localrun.masking.redaction import Redactor
from localrun.runner import container_spec
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace

_OUTPUTS = "outputs"  # a new folder in the working directory: the result of the task is not changed


def docker_command(record: TaskRecord, workspace: Workspace) -> str:
    """Return the command for a POSIX shell; empty without an image, or if the engine was a remote one.

    It uses the inputs of the task and writes to a new folder `outputs`. Secrets are not part of it: their
    variables are taken from the environment of the shell.
    """
    if record.kind != "container" or not record.image or record.remote:
        return ""
    spec = container_spec.local_spec(
        record,
        inputs=workspace.inputs,
        outputs=Path(_OUTPUTS),
        hosts=workspace.hosts,
        home=workspace.path.parent.parent,
    )
    words = ["docker", "run", "--rm", "--init", *_limits(spec), *_environment(spec)]
    volumes = (_volume(mount.source, mount.target, mount.read_only) for mount in spec.mounts)
    command = " ".join([shlex.join(words), *volumes, shlex.join([record.image, *(spec.command or ())])])
    return f"mkdir -p -m 777 {_OUTPUTS} && {command}"


def _limits(spec: ContainerSpec) -> Iterator[str]:
    if not spec.network:
        yield from ("--network", "none")
    yield from ("--cpus", f"{spec.cpus:g}", "--memory", str(spec.memory), "--memory-swap", str(spec.memory))
    yield from ("--pids-limit", str(spec.pids), "--security-opt", "no-new-privileges")
    if spec.hardened:
        yield from ("--cap-drop", "ALL", "--read-only", "--tmpfs", "/tmp:exec,mode=1777,size=256m")  # noqa: S108
    if spec.gpus:
        yield from ("--gpus", str(spec.gpus))
    if spec.hostname:
        yield from ("--hostname", spec.hostname)
    if spec.platform:
        yield from ("--platform", spec.platform)


def _environment(spec: ContainerSpec) -> Iterator[str]:
    shown = Redactor().redact(dict(spec.environment))
    for name, value in spec.environment.items():
        is_secret = value == MASK or shown[name] != value
        yield from ("-e", name if is_secret else f"{name}={value}")


def _volume(source: Path, target: str, read_only: bool) -> str:
    place = f'"$PWD/{_OUTPUTS}"' if source == Path(_OUTPUTS) else shlex.quote(str(source))
    suffix = shlex.quote(f":{target}") + (":ro" if read_only else "")
    if ":" not in f"{source}{target}":
        return f"-v {place}{suffix}"
    fields = ["type=bind", f"source={source}", f"target={target}", *(["readonly"] if read_only else [])]
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(fields)
    return f"--mount {shlex.quote(row.getvalue())}"
