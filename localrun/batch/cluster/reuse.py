"""Results of rows that are in the client's folder of tasks already, and those that nodes add to it."""

from __future__ import annotations

from contextlib import suppress

from localrun import descriptor as descriptors
from localrun import fs
from localrun.app import App
from localrun.batch.backend import RowResult, result_of
from localrun.batch.cluster.connection import Notify
from localrun.batch.rows import Row
from localrun.bundle.images.ensure import find_present
from localrun.bundle.reader import Bundle
from localrun.engines.base import EngineImage
from localrun.errors import DescriptorError, EngineError, LocalrunError
from localrun.manager.request import ReadBundle, Request
from localrun.manager.submission import Submitter
from localrun.runner.ending import add_result
from localrun.task.fingerprint import MOUNTS
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace


class ClusterReuse:
    """Finds the results of rows on the client. The id of the image comes from its engine."""

    def __init__(self, app: App, request: Request, notify: Notify) -> None:
        self._app, self._request, self._notify = app, request, notify
        self._submitter = Submitter(app.store, app.settings, lambda: app.engine)
        self._shared: Request | None = None
        self._contents: dict[int, dict[str, str]] = {}  # of rows in flight, by number

    def prepare(self, bundle: Bundle) -> None:
        """Find the image of the bundle. Without it, all rows run."""
        if self._request.reuse == "no":
            return
        image = self._find_image(bundle)
        if image is not None:
            self._shared = self._request.replace(read=ReadBundle(bundle, image))
        else:
            self._notify("results are not reused: the engine of this machine does not have the image")

    def _find_image(self, bundle: Bundle) -> EngineImage | None:
        request, cache = self._request, self._app.settings.cache
        with suppress(EngineError):
            engine = self._app.engine
            return find_present(bundle.image, engine, cache=cache, platform=request.platform)
        return None

    def find(self, row: Row) -> RowResult | tuple[str, ...]:
        """Return the result of a row from an earlier task, or why there is none."""
        if self._shared is None:
            return ()
        try:
            found = self._submitter.read(row.request(self._shared))
            task = self._submitter.find_result(found, ())
        except LocalrunError:  # it is reported when the row runs
            return ()
        if task is not None:
            return result_of(row, task.record, reused=True)
        if found.contents is not None:
            self._contents[row.number] = found.contents.digests
        return () if found.not_reused is None else found.not_reused.reasons

    def keep(self, record: TaskRecord, workspace: Workspace) -> None:
        """Let later tasks reuse the result of a task that ran on a node."""
        contents = None if record.batch is None else self._contents.pop(record.batch.row, None)
        if contents is not None and record.plan is not None:  # digests of secrets differ from home to home
            own = {part: digest for part, digest in contents.items() if not part.startswith(MOUNTS)}
            found = {**(record.plan.contents or {}), **own}  # the mounts are those of the node
            record = record.replace(plan=record.plan.replace(contents=found))
            workspace.save(record)
        if record.state is TaskState.FINISHED:
            with suppress(OSError, DescriptorError):
                described = descriptors.read(fs.read_regular(workspace.descriptor))
                add_result(record, workspace, described, self._app.settings)
