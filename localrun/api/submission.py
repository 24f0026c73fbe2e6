"""Submit a bundle with inputs as a task, and wait for its outputs."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from localrun.api.apps import app_for, settings_for
from localrun.api.exceptions import TaskFailed
from localrun.api.options import option_names, parse_submission, split_inputs
from localrun.api.task import Task, start_task
from localrun.manager.defaults import with_defaults
from localrun.manager.option_hints import option_hints
from localrun.manager.request import Request, to_iexec_request
from localrun.settings.options import ProfileName, PullPolicy
from localrun.task.states import TaskState

Place = str | os.PathLike[str]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def submit(
    bundle: Place,
    /,
    *,
    inputs: Mapping[str, Any] | Place | None = None,
    use_image: str | None = None,
    timeout: float | str | None = None,
    cpus: float | None = None,
    memory: int | str | None = None,
    gpus: int | None = None,
    network: bool | None = None,
    build_args: Mapping[str, str] | None = None,
    dockerfile: Place | None = None,
    context: Place | None = None,
    target: str | None = None,
    build_secrets: Mapping[str, Place] | Iterable[str] = (),
    build_contexts: Mapping[str, str] | None = None,
    writable_inputs: bool | None = None,
    copy_inputs: bool | None = None,
    mounts: Iterable[str] = (),
    hardened: bool | None = None,
    pull: PullPolicy | None = None,
    platform: str | None = None,
    retries: int | None = None,
    profile: ProfileName | None = None,
    replicas: int | None = None,
    agree: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    reuse: bool | Literal["all"] | None = None,
    home: Place | None = None,
    **values: Any,
) -> Task:
    """Submit a task and return at once. The task outlives this process.

    `values` are the inputs by name. `inputs` overrides them, and can have names that are options here; as the
    path of a folder in App Engine's layout, or of a JSON or YAML file, it is overridden by them. Files are
    `Path` objects, images also `{"file": path, "region": geometry}` or `{"file": path, "crop": annotation}`.

    `use_image` is an image of the engine that replaces the bundle's own, `platform` that of the image, e.g.
    `"linux/arm64"` (None: the engine's). `timeout` is in seconds or e.g. `"10m"`, `memory` in bytes or e.g.
    `"2Gi"`. None: from the descriptor. `copy_inputs` copies input files instead of mounting them. `mounts`
    are `"SRC:DST[:rw]"`, paths of this machine over those of the image. A task that lost its
    container runs again up to `retries` times. With multiple `replicas`, the task runs that many times with
    small variations, and fails unless `agree` of them (None: all) give the same result.
    `metadata` are JSON values by key for your own use; `tasks` finds tasks by them.

    The image of a folder is built with `dockerfile` and `context` (default: those of the bundle), `target`,
    `build_args`, `build_contexts` (`{"NAME": "docker-image://REFERENCE"}`) and `build_secrets`: a mapping of
    ids to a `Path`, `"src=FILE"` or `"env=VARIABLE"`. Secrets are not stored.

    With `reuse=True`, the result of a finished task is taken that had the same image, descriptor, options and
    inputs by content. Returns that task, and creates none: `reused` of the returned task is true. `"all"`
    includes tasks with a network or secrets.

    With `profile="iexec"`, the bundle is a folder with a Dockerfile, an image archive, or an image name, and
    the inputs are `args`, `input_files`, `datasets`, `secrets` (by number), `app_secret` and `callback`.

    An option that is None comes from a variable or a settings file, e.g. `localrun.toml`, else it has the
    default of `localrun run`.

    Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError`, `AdmissionError` or `UsageError`
    with all problems, or `EngineUnreachable`. Nothing is created then.
    """
    return _submit(bundle, locals())


def _submit(bundle: Place, given: Mapping[str, Any]) -> Task:
    settings = settings_for(given["home"])
    options = with_defaults(parse_submission(given), settings)
    values, folder = split_inputs(given["inputs"], given["values"])
    is_app = options.get("profile") == "iexec"
    own = {} if is_app else values
    request = Request(Path(bundle), values=own, inputs_folder=folder, detached=True, **options)
    with option_hints(lambda: option_names(submit)):
        if is_app:
            from localrun.manager.defaults import iexec_inputs
            from localrun.platforms import iexec

            inputs = iexec.parse_inputs(iexec_inputs(values, settings))
            request = to_iexec_request(request, inputs, os.fspath(bundle))
        return start_task(app_for(given["home"]), request)


def _takes(
    submit: Callable[Arguments, Any],
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """Give a function the parameters of `submit`, for type checkers and `help`."""

    def decorate(function: Callable[..., Result]) -> Callable[Arguments, Result]:
        returned = inspect.signature(function).return_annotation
        own = inspect.signature(submit).replace(return_annotation=returned)
        function.__signature__ = own  # type: ignore[attr-defined]
        return function

    return decorate


@_takes(submit)
def run(bundle: Place, /, **options: Any) -> dict[str, Any]:
    """Submit a task, wait for it, and return its outputs by name. Options and inputs as `submit`.

    Ctrl+C, or any other exception while waiting, stops the task. Raises `TaskFailed` if it does not finish,
    and what `submit` raises.
    """
    task = submit(bundle, **options)
    with task.sync_context():
        state = task.wait()
    if state is not TaskState.FINISHED:
        raise TaskFailed(task.info)
    return task.outputs
