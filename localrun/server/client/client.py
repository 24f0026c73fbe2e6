"""`Client`: the tasks and batches of a server, `localrun serve`, over HTTP."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from localrun import fs
from localrun.api.options import plain
from localrun.api.remote.connection import split_url
from localrun.errors import Cause, RequestRefused, UsageError
from localrun.server.client.answers import Answer, check
from localrun.server.client.batches import ServedBatch, batch_path, rows_as_sent
from localrun.server.client.served_task import ServedTask, id_of, path_of, read_task
from localrun.server.client.server_sent_events import read_events
from localrun.task.events import Event
from localrun.task.metadata import has_values
from localrun.task.selection import parse_state
from localrun.task.states import TaskState

_MAX_WAIT = 30.0  # seconds of one request that waits
_CHUNK = 256 * 1024
_GROUPS = ("active", "ended", "all")  # of states

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Client:
    """An HTTP client of a server, which opens a connection per request.

    `url` may have a path; an invalid one raises `UsageError`. `timeout` is the longest silence of the server
    in seconds. `request`, `get`, `post`, `put` and `delete` return responses of any status. All other methods
    take a task or its id. They raise `RequestRefused`, with all problems, for a response that is not a
    success, and if the server cannot be reached; and `TaskNotFound`.
    """

    url: str
    token: str | None = None
    timeout: float = 60.0

    def __post_init__(self) -> None:
        split_url(self.url)

    # -- requests --------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read the whole response. Raises OSError if there is none."""
        with self._open(method, path, json=json, body=body, params=params, headers=headers) as found:
            return Answer(found.status, dict(found.headers), found.read())

    def get(self, path: str, **params: Any) -> Answer:
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None) -> Answer:
        return self.request("POST", path, json=json)

    def put(self, path: str, json: Any = None, body: bytes | None = None) -> Answer:
        return self.request("PUT", path, json=json, body=body)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        given |= headers or {}
        if json is not None:
            body, given = _encode(json), {**given, "Content-Type": "application/json"}
        parts = split_url(self.url)
        query = f"?{urlencode(params)}" if params else ""
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=self.timeout)
        try:
            connection.request(method, parts.path.rstrip("/") + path + query, body, given)
            yield connection.getresponse()
        finally:
            connection.close()

    def call(self, method: str, path: str, **given: Any) -> Any:
        """Send a request as `request` does, and return the JSON of a successful response."""
        answer = self.answer(method, path, **given)
        check(answer, path)
        return answer.json()

    def answer(self, method: str, path: str, **given: Any) -> Answer:
        """Send a request as `request` does. Raises `RequestRefused` if there is no response."""
        try:
            return self.request(method, path, **given)
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def download(self, path: str, dest: Place, **params: Any) -> Path:
        """Write a successful response to the file `dest`, whole or not at all, and return its path."""
        target = Path(dest)
        try:
            with self._open("GET", path, params=params) as found:
                if found.status != 200:
                    check(Answer(found.status, dict(found.headers), found.read()), path)
                with fs.atomic_file(target) as temp, temp.open("wb") as stream:
                    while data := found.read(_CHUNK):
                        stream.write(data)
                    if found.length:
                        raise HTTPException(f"the download ended {found.length} bytes too early")
        except HTTPException as error:
            raise self._unreachable(error) from error
        return target

    def _unreachable(self, error: Exception) -> RequestRefused:
        reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
        return RequestRefused(
            f"cannot reach {self.url}: {reason}",
            status=0,
            remedy="check the URL, and that `localrun serve` runs",
            cause=Cause.ENGINE_UNREACHABLE,
        )

    # -- tasks -----------------------------------------------------------------------------------

    def submit(
        self,
        bundle: str | None = None,
        /,
        *,
        inputs: Mapping[str, Any] | str | None = None,
        image: str | None = None,
        timeout: float | str | None = None,
        cpus: float | None = None,
        memory: int | str | None = None,
        gpus: int | None = None,
        network: bool | None = None,
        build_args: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        assigned_by: str = "localrun.Client",
        **fields: Any,
    ) -> ServedTask:
        """Create a task and return it at once, with its id and state.

        `bundle` is a path below `--bundles` of the server, or `namespace:version`. The inputs are values by
        name, files as `"@FILE"` below `--bundles`; a task with missing inputs waits for `upload_input`.
        Other `fields` are those of `task` in `POST /task`, such as `target`, `retries`, `profile` or
        `command`. With a `task_id`, the request can be repeated.
        """
        limits = _without_none(cpus=cpus, memory=memory, gpus=gpus)
        task = {"bundle": bundle, "image": image, "inputs": inputs, "timeout": timeout, "network": network}
        task |= {"build_args": build_args, "metadata": metadata, "resources": limits or None}
        body = {"task": _without_none(**task) | fields, "assigned_by": assigned_by}
        method, path = ("POST", "/task") if task_id is None else ("PUT", path_of(task_id))
        return read_task({**self.call(method, path, json=body), "status": ""})

    def task(self, task: ServedTask | str) -> ServedTask:
        """Return a task as it is now."""
        return read_task(self.call("GET", path_of(task))["task"])

    def tasks(
        self,
        state: TaskState | str = "all",
        *,
        metadata: Mapping[str, Any] | str | None = None,
        assigned_by: str | None = None,
        limit: int | None = None,
    ) -> list[ServedTask]:
        """Return tasks in order of creation: those that are `active` or `ended`, `all`, or in a state.

        Of ended ones, the last thousand. `metadata` are values by key, or `KEY=VALUE`. Raises `UsageError`
        for an unknown state.
        """
        word = str(state) if state in _GROUPS else str(parse_state(state))
        given: dict[str, Any] = {"state": word, "assigned_by": assigned_by}
        given |= {"metadata": metadata} if isinstance(metadata, str) else {}
        params = {name: value for name, value in given.items() if value is not None}
        found = self.call("GET", "/task/list", params=params)
        tasks = [read_task(one) for one in (*found["completed_tasks"], *found["active_tasks"])]
        if isinstance(metadata, Mapping):
            tasks = [task for task in tasks if has_values(task.metadata, metadata)]
        return tasks[:limit]

    def wait(self, task: ServedTask | str, timeout: float | None = None) -> ServedTask:
        """Block until a task has ended, and return it. Raises `TimeoutError` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _MAX_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            patience = min(left, _MAX_WAIT, self.timeout / 2)
            found = self.call("GET", f"{path_of(task)}/wait", params={"timeout": patience})
            if found["ended"]:
                return read_task(found["task"])
            if deadline is not None and time.monotonic() >= deadline:
                state = found["task"]["state"]
                raise TimeoutError(f"task {id_of(task)} has not ended after {timeout:g} s (it is {state})")

    def follow(self, task: ServedTask | str) -> Iterator[Event]:
        """Yield the events of a task, past ones first, until it has ended.

        Continues after a lost connection. Output of the program is in `logs`.
        """
        path, last = f"{path_of(task)}/events", 0
        while True:
            try:
                for number, event in self._events(path, last):
                    last = number or last
                    yield event
            except (OSError, HTTPException):
                self.task(task)  # raises if the server is gone
            if self.task(task).state.is_final:
                yield from (event for _, event in self._events(path, last))
                return

    def _events(self, path: str, last: int) -> Iterator[tuple[int, Event]]:
        with self._open("GET", path, headers={"Last-Event-ID": str(last)}) as found:
            if found.status != 200:
                check(Answer(found.status, dict(found.headers), found.read()), path)
            yield from read_events(found)

    def logs(self, task: ServedTask | str, *, follow: bool = False) -> Iterator[str]:
        """Yield the output of the program in pieces; with `follow`, until the task has ended."""
        path = f"{path_of(task)}/logs"
        try:
            with self._open("GET", path, params={"follow": "true"} if follow else None) as found:
                if found.status != 200:
                    check(Answer(found.status, dict(found.headers), found.read()), path)
                while data := found.read1(_CHUNK):
                    yield data.decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def kill(self, task: ServedTask | str, grace: float | None = None) -> ServedTask:
        """Stop a task, and return it when it has ended. `grace` are seconds until it is killed by force."""
        params = {} if grace is None else {"grace": grace}
        return read_task(self.call("POST", f"{path_of(task)}/kill", params=params)["task"])

    def complete(self, task: ServedTask | str, result: Mapping[str, Any] | None = None) -> ServedTask:
        """Finish a task without a container."""
        body = {"result": dict(result or {})}
        return read_task(self.call("POST", f"{path_of(task)}/complete", json=body)["task"])

    def rerun(
        self,
        task: ServedTask | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ServedTask:
        """Run a task again, with other values for some inputs and metadata; return the new one at once."""
        body = {"inputs": dict(inputs or {}), "metadata": dict(metadata or {})}
        return read_task({**self.call("POST", f"{path_of(task)}/rerun", json=body), "status": ""})

    def remove(self, task: ServedTask | str) -> None:
        """Delete an ended task with its files."""
        self.call("DELETE", path_of(task))

    # -- files -----------------------------------------------------------------------------------

    def upload_input(self, task: ServedTask | str, name: str, content: bytes | Place) -> ServedTask:
        """Send an input that a task waits for: its content, or the path of a file with it."""
        path = f"{path_of(task)}/inputs/{quote(name, safe='')}"
        if isinstance(content, bytes):
            return read_task(self.call("PUT", path, body=content)["task"])
        with Path(content).open("rb") as stream:
            size = {"Content-Length": str(os.fstat(stream.fileno()).st_size)}
            try:
                with self._open("PUT", path, body=stream, headers=size) as found:
                    answer = Answer(found.status, dict(found.headers), found.read())
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from error
        check(answer, path)
        return read_task(answer.json()["task"])

    def download_output(self, task: ServedTask | str, name: str, dest: Place) -> Path:
        """Write an output to the file `dest`, also an item such as `masks/0`, and return its path.

        `dest` appears with the whole content, or not at all.
        """
        return self.download(f"{path_of(task)}/outputs/{quote(name)}", dest)

    # -- batches ---------------------------------------------------------------------------------

    def map(
        self,
        bundle: str,
        rows: Iterable[Mapping[str, Any]] | Place | None = None,
        /,
        *,
        grid: Mapping[str, Iterable[Any]] | None = None,
        jobs: int | None = None,
        skip_invalid: bool = False,
        inputs: Mapping[str, Any] | str | None = None,
        image: str | None = None,
        timeout: float | str | None = None,
        cpus: float | None = None,
        memory: int | str | None = None,
        gpus: int | None = None,
        network: bool | None = None,
        build_args: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        batch_id: str | None = None,
        assigned_by: str = "localrun.Client",
        **fields: Any,
    ) -> ServedBatch:
        """Run a bundle once for each row of inputs, and return at once. The rows run in the server.

        `rows` and `grid` are those of `localrun.map`; a table is a file of this machine. Files are `"@FILE"`
        below `--bundles` of the server, as are the paths in a table. `inputs` are for all rows. `jobs` are
        the rows that are submitted at once. Other options are those of `submit`. With a `batch_id`, the
        request can be repeated. If a row is invalid, nothing runs, and `RequestRefused` has the problems of
        all rows, except with `skip_invalid`.
        """
        limits = _without_none(cpus=cpus, memory=memory, gpus=gpus)
        body = {"bundle": bundle, "inputs": inputs, "image": image, "timeout": timeout, "network": network}
        body |= {"build_args": build_args, "metadata": metadata, "resources": limits or None, "jobs": jobs}
        body |= {"skip_invalid": skip_invalid, "assigned_by": assigned_by, **rows_as_sent(rows, grid)}
        method, path = ("POST", "/batch") if batch_id is None else ("PUT", batch_path(batch_id))
        return ServedBatch(self, self.call(method, path, json=_without_none(**body) | fields)["batch"])

    def batch(self, batch_id: str) -> ServedBatch:
        """Return a batch by its whole id."""
        return ServedBatch(self, self.call("GET", batch_path(batch_id))["batch"])

    def batches(self, limit: int = 100) -> list[ServedBatch]:
        """Return the batches of the server's folder, newest first, also those of the command line."""
        found = self.call("GET", "/batch", params={"limit": limit})["batches"]
        return [ServedBatch(self, one) for one in found]


def _without_none(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _encode(value: Any) -> bytes:
    return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Return a path as the name of a file, and a scalar of NumPy as a number."""
    found = f"@{os.fspath(value)}" if isinstance(value, os.PathLike) else plain(value)
    if found is value:
        remedy = "pass numbers, strings, lists, mappings, or the path of a file"
        raise UsageError(f"cannot send a value of the type {type(value).__name__}", remedy=remedy)
    return found
