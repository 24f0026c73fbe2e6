"""Submit a bundle with inputs as a task."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from localrun.api.apps import app_for, pending_starts_of, settings_for
from localrun.api.exceptions import TaskFailed
from localrun.api.task import Task
from localrun.app import App
from localrun.bundle.images.build_options import check_context, parse_secrets
from localrun.errors import Problem, UsageError
from localrun.manager.defaults import with_defaults
from localrun.manager.request import Request, to_iexec_request
from localrun.settings.options import ProfileName, PullPolicy
from localrun.task.bind_mounts import parse_mounts
from localrun.task.options import parse_options
from localrun.task.states import TaskState
from localrun.units import format_count

Place = str | os.PathLike[str]
_INPUT_HINT = 'pass an input of this name as inputs={{"{}": ...}}'


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
    options = with_defaults(_parse(given), settings)
    values, folder = _given(given["inputs"], given["values"])
    is_app = options.get("profile") == "iexec"
    own = {} if is_app else values
    request = Request(Path(bundle), values=own, inputs_folder=folder, detached=True, **options)
    if is_app:
        from localrun.manager.defaults import iexec_inputs
        from localrun.platforms import iexec

        inputs = iexec.parse_inputs(iexec_inputs(values, settings))
        request = to_iexec_request(request, inputs, os.fspath(bundle))
    return start(app_for(given["home"]), request)


def start(app: App, request: Request) -> Task:
    """Submit a request, and start the supervisor, which owns the task once this process has ended."""
    task = app.manager.submit(request, pending_starts_of(app).on_event)
    app.supervise()
    return Task(task.id, app.settings.home)


def _parse(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request for the options of `submit`. Raises `UsageError` with all problems."""
    problems: list[Problem] = []
    options = parse_options(given, problems) | _parse_build(given, problems)
    try:
        options["bind_mounts"] = parse_mounts(given["mounts"])
    except ValueError as error:
        problems.append(Problem("mounts", str(error), _INPUT_HINT.format("mounts")))
    if problems:
        count = format_count(len(problems), "problem")
        raise UsageError(f"invalid options ({count})", remedy="fix the problems listed", problems=problems)
    return options


def _parse_build(given: Mapping[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the fields of the request for a build, with absolute paths. Adds to `problems`."""
    found: dict[str, Any] = {name: dict(given[name] or {}) for name in ("build_args", "build_contexts")}
    found["image"] = given["use_image"]
    for name in ("dockerfile", "context"):
        if isinstance(given[name], (str, os.PathLike)):
            found[name] = os.path.abspath(given[name])  # noqa: PTH100 - keeps links
        elif given[name] is not None:
            problems.append(
                Problem(name, f"expected a path, found {given[name]!r}", _INPUT_HINT.format(name))
            )
    found["target"] = target = given["target"] or ""
    if not isinstance(target, str):
        hint = _INPUT_HINT.format("target")
        problems.append(Problem("target", f"expected the name of a stage, found {target!r}", hint))
    for name, reference in found["build_contexts"].items():
        try:
            check_context(name, reference)
        except ValueError as error:
            problems.append(Problem("build_contexts", str(error)))
    try:
        found["build_secrets"] = parse_secrets(given["build_secrets"], os.environ)
    except ValueError as error:
        problems.append(Problem("build_secrets", str(error)))
    return found


def _given(
    inputs: Mapping[str, Any] | Place | None, values: Mapping[str, Any]
) -> tuple[dict[str, Any], Path | None]:
    """Return the inputs by name, and the folder of inputs. Raises `InputsError` for an unreadable file."""
    if inputs is None or isinstance(inputs, Mapping):
        return {**values, **(inputs or {})}, None
    path = Path(inputs).expanduser()
    if path.is_dir():
        return dict(values), path
    from localrun.manager.inputs import override
    from localrun.values import load_values

    return override(load_values(path), values), None


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
