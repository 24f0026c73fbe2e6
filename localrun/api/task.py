"""`Task`, a handle on one task of any process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from localrun.api.apps import pending_starts_of
from localrun.api.inductiva import InductivaMethods
from localrun.api.options import Place, option_names, parse_submission, split_inputs
from localrun.api.waiting import MAX_SLEEP
from localrun.settings.options import PullPolicy

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.request import Request

__all__ = ["MAX_SLEEP", "Task", "TaskHandles", "start_task"]


class Task(InductivaMethods):
    """A handle on a task in the folder `home`, named by its id, a prefix of the id, or `last`.

    Handles hold no state: each access reads the current state of the task, which outlives the handle and the
    process. Handles on the same task are equal. `home` None: LOCALRUN_HOME, or `.localrun` in the working
    directory. Raises `TaskNotFound` if no task, or more than one, matches.
    """

    @property
    def replicas(self) -> TaskHandles:
        """The tasks of its replicas, in order; empty for a task without replicas."""
        home = self._app.settings.home
        return TaskHandles(Task(record.id, home) for record in self._app.replicas(self.info))

    def rerun(
        self,
        *,
        inputs: Mapping[str, Any] | Place | None = None,
        same_image: bool = False,
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
        replicas: int | None = None,
        agree: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        reuse: bool | Literal["all"] | None = None,
        **values: Any,
    ) -> Task:
        """Submit the task again and return the new one at once. Options and inputs as `submit`.

        What is given replaces the original inputs and options; build arguments and metadata by key. The
        bundle is read again, unless `same_image` uses the original image and descriptor. Notes about changed
        files are warnings.

        Raises what `submit` raises, `UsageError` for a task without a container, and `InputsError` with every
        input file that is missing or has changed.
        """
        options = parse_submission(locals())
        others, folder = split_inputs(inputs, values)
        names = {*others, *(os.listdir(folder) if folder is not None else ())}  # noqa: PTH208 - names
        request = self._request(names, use_image, same_image=same_image)
        changes = {name: value for name, value in options.items() if value not in ("", None, [], (), {})}
        from localrun.manager.option_hints import option_hints
        from localrun.manager.rerun import with_changes

        changed = with_changes(request, changes, others)
        with option_hints(lambda: option_names(self.rerun)):
            return start_task(self._app, changed.replace(detached=True, inputs_folder=folder))

    def _request(self, replaced: Iterable[str], image: str | None, *, same_image: bool) -> Request:
        from localrun.manager.rerun import request_from

        return request_from(
            self.info,
            self._workspace,
            lambda note: warnings.warn(note, stacklevel=4),
            replaced=set(replaced),
            has_image=lambda name: self._app.engine.find_image(name) is not None,
            image=image,
            same_image=same_image,
        )


def start_task(app: App, request: Request) -> Task:
    """Submit a request, and start the supervisor, which owns the task once this process has ended."""
    task = app.manager.submit(request, pending_starts_of(app).on_event)
    found = Task(task.id, app.settings.home)
    found.reused, found.not_reused = task.reused, task.not_reused
    if not task.reused:
        app.supervise()
    return found


class TaskHandles(list[Task]):
    """A list of task handles."""

    def _repr_html_(self) -> str:
        """Return a table in HTML without scripts, for notebooks; 200 KB at most."""
        from localrun.report.page.notebook import list_html

        return list_html(record for task in self if (record := task._record_or_none()) is not None)
