"""From a bundle and values to a task, or to its outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from localrun.api.apps import app_for, pending_starts_of
from localrun.api.exceptions import TaskFailed
from localrun.api.task import Task
from localrun.bundle.images.ensure import PullPolicy
from localrun.errors import Problem, UsageError
from localrun.manager.payload import parse_profile
from localrun.manager.request import Request, parse_iexec_args, to_iexec_request
from localrun.task.record import ProfileName
from localrun.task.states import TaskState
from localrun.units import parse_bytes, parse_duration

Place = str | os.PathLike[str]
_Amount = TypeVar("_Amount", int, float)


def submit(
    bundle: Place,
    /,
    *,
    inputs: Mapping[str, Any] | None = None,
    use_image: str | None = None,
    timeout: float | str | None = None,
    cpus: float | None = None,
    memory: int | str | None = None,
    gpus: int | None = None,
    network: bool | None = None,
    build_args: Mapping[str, str] | None = None,
    writable_inputs: bool = False,
    hardened: bool = False,
    pull: PullPolicy = "missing",
    retries: int = 0,
    profile: ProfileName = "bundle",
    replicas: int = 1,
    agree: int | None = None,
    home: Place | None = None,
    **values: Any,
) -> Task:
    """Submit a task and return at once; it goes on when this process ends.

    `values` are the inputs by name; `inputs` too, for names that are options here, and comes after them.
    A file is a `Path`. `use_image` names an image of the engine to use in place of the bundle's own.
    `timeout` is in seconds or as `"10m"`, `memory` in bytes or as `"2Gi"`. None: as the descriptor says.
    `retries` counts how often it may run again when its container is lost. With several `replicas` it runs
    as often, each time a little differently, and fails unless `agree` of them (None: all) give the same.

    With `profile="iexec"` the bundle is a folder with a Dockerfile, an image archive, or the name of an
    image, and what an iExec app is given stands in place of inputs: `args`, `input_files`, `datasets`,
    `secrets` (by number), `app_secret`, `callback`.

    Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError`, `AdmissionError`, `UsageError`
    with all that is wrong, and `EngineUnreachable`; nothing is left behind then.
    """
    problems: list[Problem] = []
    request = Request(
        Path(bundle),
        image=use_image,
        values={} if profile == "iexec" else {**values, **(inputs or {})},
        timeout=_amount("timeout", timeout, parse_duration, problems),
        cpus=_amount("cpus", cpus, float, problems),
        memory=_amount("memory", memory, parse_bytes, problems),
        gpus=_count("gpus", gpus, problems),
        network=network,
        build_args=dict(build_args or {}),
        writable_inputs=writable_inputs,
        hardened=hardened,
        pull=pull,
        retries=_count("retries", retries, problems) or 0,
        replicas=_count("replicas", replicas, problems) or 0,
        agree=_count("agree", agree, problems),
        detached=True,
    )
    try:
        parse_profile(profile)
    except ValueError as error:
        problems.append(Problem("profile", str(error)))
    if problems:
        raise UsageError("the options have problems", remedy="correct what is listed", problems=problems)
    if profile == "iexec":
        request = to_iexec_request(request, parse_iexec_args({**values, **(inputs or {})}), os.fspath(bundle))
    app = app_for(home)
    task = app.manager.submit(request, pending_starts_of(app).on_event)
    return Task(task.id, app.settings.home)


def run(bundle: Place, /, **options: Any) -> dict[str, Any]:
    """Submit a task, wait for its end, and return its outputs by name; options and inputs as `submit`.

    Ctrl+C, and any other exception meanwhile, stops the task. Raises `TaskFailed` when it does not finish,
    and what `submit` raises.
    """
    task = submit(bundle, **options)
    with task.sync_context():
        state = task.wait()
    if state is not TaskState.FINISHED:
        raise TaskFailed(task.info)
    return task.outputs


def _amount(
    name: str, given: _Amount | str | None, parse: Callable[[str], _Amount], problems: list[Problem]
) -> _Amount | None:
    if given is None:
        return None
    try:
        amount = parse(given) if isinstance(given, str) else given
        if isinstance(amount, bool) or not 0 < amount < float("inf"):
            raise ValueError("must be a number above 0")
    except (TypeError, ValueError) as error:
        problems.append(Problem(name, f"{error} (it is {given!r})"))
        return None
    return amount


def _count(name: str, given: Any, problems: list[Problem]) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        return given
    problems.append(Problem(name, f"must be a whole number from 0 (it is {given!r})"))
    return None
