"""The results of nodes in the client's folder of tasks, as if the tasks had run here."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from localrun import fs
from localrun.batch.cluster import folders
from localrun.batch.cluster.orders import SentFile, SentFolder, Work, replace_files
from localrun.copying import DiskLimit
from localrun.errors import LocalrunError
from localrun.manager.request import Request
from localrun.task.file_state import FileState
from localrun.task.record import BUILD_OPTIONS, TaskRecord
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace

Sent = SentFile | SentFolder
# a file or folder in the content store of a node
_CONTENT = re.compile(r"/.+/content/[0-9a-f]{2}/([0-9a-f]{64}/[^/]+)(/.*)?", re.DOTALL)


class Importer:
    """Stores the tasks of nodes in a folder of tasks. Thread-safe.

    `request` is that of the batch. `on_stored` is called with each task that is complete.
    """

    def __init__(
        self,
        store: TaskStore,
        request: Request,
        disk_limit: float,
        on_stored: Callable[[TaskRecord, Workspace], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._on_stored = on_stored
        self._request = request
        self._disk_limit = disk_limit
        self._lock = threading.Lock()

    def add(self, parts: Iterator[bytes], task_id: str, work: Work, *, node: str) -> TaskRecord:
        """Store the task of an archive with its replicas under an id, and return its record.

        The task appears at once with its whole content. Raises `LocalrunError`, with cause DISK_FULL if the
        disk is full, and leaves nothing then.
        """
        sent = _sent(work)

        def rename(text: str) -> str:
            found = _CONTENT.fullmatch(text)
            return sent[found[1]].path + (found[2] or "") if found and found[1] in sent else text

        with fs.temp_file(self._store.path / "incoming") as temp:
            with fs.wrap_os_errors(self._store.path):
                temp.mkdir(parents=True)
            found = folders.unpack(parts, temp, rename, DiskLimit(self._disk_limit))
            if not found:
                raise LocalrunError("a node sent an empty archive of a task", remedy="resume the batch")
            *replicas, own = found  # the task itself is the last one
            ids = (own.id, task_id)
            renamed = Workspace(own.path.with_name(task_id))
            own.path.rename(renamed.path)
            for workspace in (*replicas, renamed):
                record = self._rewrite(workspace, ids, rename, node, work)
            for workspace in (*replicas, renamed):
                self._publish(workspace)
        self._on_stored(record, self._store.open(record.id))
        return record

    def _rewrite(
        self,
        workspace: Workspace,
        ids: tuple[str, str],
        rename: Callable[[str], str],
        node: str,
        work: Work,
    ) -> TaskRecord:
        for path in (workspace.path / "task.json", workspace.events):
            with suppress(FileNotFoundError):
                before_id, after_id = ids
                text = fs.read_regular(path).replace(before_id.encode(), after_id.encode())
                fs.write_atomic(str(path), text)
        record = workspace.load()
        before, after = record.folder, str(self._store.open(record.id))

        def here(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: here(item) for key, item in value.items()}
            if isinstance(value, list | tuple):
                return [here(item) for item in value]
            if not isinstance(value, str):
                return value
            if before and (value == before or value.startswith(f"{before}/")):
                return after + value[len(before) :]
            return rename(value)

        record = TaskRecord.from_json(msgspec.json.encode(here(record.as_dict())))
        plan = record.plan
        if plan is not None:
            own = {name: getattr(self._request, name) for name in (*BUILD_OPTIONS, "image", "pull")}
            own["build_secret_ids"] = sorted(
                {*self._request.build_secret_ids, *(one.id for one in self._request.build_secrets)}
            )
            states = _states(work)
            mounted = {place: states[source] for source, place in plan.mounts if source in states}
            plan = plan.replace(**own, bundle=_place(self._request), detached=True, mount_states=mounted)
        record = record.replace(
            sources={**record.sources, **work.sources},
            plan=plan,
            bundle=str(self._request.bundle) if plan is not None and plan.bundle else record.bundle,
            node=node,
            engine="",
        )
        workspace.save(record)
        return record

    def _publish(self, workspace: Workspace) -> None:
        with fs.wrap_os_errors(self._store.path), self._lock:
            target = self._store.open(workspace.id)
            if target.path.exists():  # of an attempt that is not a result
                self._store.remove(target)
            elif not target.path.parent.is_dir():  # the first task of the folder
                self._store.remove(self._store.create())
            workspace.path.chmod(0o700)
            workspace.path.rename(target.path)


def _place(request: Request) -> str:
    return os.path.abspath(request.bundle) if str(request.bundle) != "." else ""  # noqa: PTH100


def _states(work: Work) -> dict[str, FileState]:
    """Return the states of the client's files when they were sent, by path."""
    files = (each for each in _sent(work).values() if isinstance(each, SentFile))
    return {each.path: each.state for each in files if each.state is not None}


def _sent(work: Work) -> dict[str, Sent]:
    """Return the files and folders of the client by digest and name."""
    found: dict[str, Sent] = {}

    def note(each: Any) -> Any:
        if isinstance(each, SentFolder | SentFile):
            found[f"{each.digest}/{each.name}"] = each
        return each

    replace_files(work.request.values, note)
    return found
