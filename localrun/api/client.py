"""`Client`: the tasks of a server, `localrun serve`, over HTTP."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from localrun import fs
from localrun.api.remote.connection import split_url
from localrun.api.server_sent_events import read_events
from localrun.errors import Cause, Problem, RequestRefused, TaskNotFound, UsageError
from localrun.task.events import Event
from localrun.task.metadata import has_values
from localrun.task.selection import parse_state
from localrun.task.states import TaskState
from localrun.units import format_count

_MAX_WAIT = 30.0  # seconds of one request that waits
_CHUNK = 256 * 1024
_GROUPS = ("active", "ended", "all")  # of states
_NO_TASK = re.compile(r"Task .* not found")

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Answer:
    """A response of the server, with any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed JSON body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


class ServedTask(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "task_id"}):
    """A task as the server describes it. `details` has all keys of the response."""

    id: str
    state: TaskState
    status: str = ""  # the word of the Task System
    cause: str | None = None
    message: str = ""
    remedy: str = ""
    name: str = ""
    assigned_by: str = ""
    exit_code: int | None = None
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    missing: list[str] = msgspec.field(default_factory=list)  # the inputs that it waits for
    outputs: dict[str, Any] = msgspec.field(default_factory=dict)
    result: dict[str, Any] | None = None
    problems: list[dict[str, Any]] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    def output(self, name: str) -> dict[str, str]:
        """Return an output as an input for another task, which waits for it if this one has not ended."""
        return {"task": self.id, "output": name}

    @property
    def is_finished(self) -> bool:
        """Whether the task has ended with valid outputs."""
        return self.state is TaskState.FINISHED


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
    ) -> Answer:
        """Send a request and read the whole response. Raises OSError if there is none."""
        with self._open(method, path, json=json, body=body, params=params) as found:
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
            body, given = _encoded(json), {**given, "Content-Type": "application/json"}
        parts = split_url(self.url)
        query = f"?{urlencode(params)}" if params else ""
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.netloc, timeout=self.timeout)
        try:
            connection.request(method, parts.path.rstrip("/") + path + query, body, given)
            yield connection.getresponse()
        finally:
            connection.close()

    def _checked(self, method: str, path: str, **given: Any) -> Any:
        """Return the JSON of a successful response. Raises as the class says."""
        try:
            answer = self.request(method, path, **given)
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error
        _check(answer, path)
        return answer.json()

    def _unreachable(self, error: Exception) -> RequestRefused:
        return RequestRefused(
            f"cannot reach {self.url}: {str(error) or type(error).__name__}",
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
        limits = {"cpus": cpus, "memory": memory, "gpus": gpus}
        resources = {name: value for name, value in limits.items() if value is not None}
        task = {"bundle": bundle, "image": image, "inputs": inputs, "timeout": timeout, "network": network}
        task |= {"build_args": build_args, "metadata": metadata, "resources": resources or None}
        task = {name: value for name, value in task.items() if value is not None} | fields
        body = {"task": task, "assigned_by": assigned_by}
        method, path = ("POST", "/task") if task_id is None else ("PUT", _path(task_id))
        return _read({**self._checked(method, path, json=body), "status": ""})

    def task(self, task: ServedTask | str) -> ServedTask:
        """Return a task as it is now."""
        return _read(self._checked("GET", _path(task))["task"])

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
        found = self._checked("GET", "/task/list", params=params)
        tasks = [_read(one) for one in (*found["completed_tasks"], *found["active_tasks"])]
        if isinstance(metadata, Mapping):
            tasks = [task for task in tasks if has_values(task.metadata, metadata)]
        return tasks[:limit]

    def wait(self, task: ServedTask | str, timeout: float | None = None) -> ServedTask:
        """Block until a task has ended, and return it. Raises `TimeoutError` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _MAX_WAIT if deadline is None else max(0.0, deadline - time.monotonic())
            patience = min(left, _MAX_WAIT, self.timeout / 2)
            found = self._checked("GET", f"{_path(task)}/wait", params={"timeout": patience})
            if found["ended"]:
                return _read(found["task"])
            if deadline is not None and time.monotonic() >= deadline:
                state = found["task"]["state"]
                raise TimeoutError(f"task {_id(task)} has not ended after {timeout:g} s (it is {state})")

    def follow(self, task: ServedTask | str) -> Iterator[Event]:
        """Yield the events of a task, past ones first, until it has ended.

        Continues after a lost connection. Output of the program is in `logs`.
        """
        path, last = f"{_path(task)}/events", 0
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
                _check(Answer(found.status, dict(found.headers), found.read()), path)
            yield from read_events(found)

    def logs(self, task: ServedTask | str, *, follow: bool = False) -> Iterator[str]:
        """Yield the output of the program in pieces; with `follow`, until the task has ended."""
        path = f"{_path(task)}/logs"
        try:
            with self._open("GET", path, params={"follow": "true"} if follow else None) as found:
                if found.status != 200:
                    _check(Answer(found.status, dict(found.headers), found.read()), path)
                while data := found.read1(_CHUNK):
                    yield data.decode("utf-8", "replace")
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def kill(self, task: ServedTask | str, grace: float | None = None) -> ServedTask:
        """Stop a task, and return it when it has ended. `grace` are seconds until it is killed by force."""
        params = {} if grace is None else {"grace": grace}
        return _read(self._checked("POST", f"{_path(task)}/kill", params=params)["task"])

    def complete(self, task: ServedTask | str, result: Mapping[str, Any] | None = None) -> ServedTask:
        """Finish a task without a container."""
        body = {"result": dict(result or {})}
        return _read(self._checked("POST", f"{_path(task)}/complete", json=body)["task"])

    def rerun(
        self,
        task: ServedTask | str,
        *,
        inputs: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> ServedTask:
        """Run a task again, with other values for some inputs and metadata; return the new one at once."""
        body = {"inputs": dict(inputs or {}), "metadata": dict(metadata or {})}
        return _read({**self._checked("POST", f"{_path(task)}/rerun", json=body), "status": ""})

    def remove(self, task: ServedTask | str) -> None:
        """Delete an ended task with its files."""
        self._checked("DELETE", _path(task))

    # -- files -----------------------------------------------------------------------------------

    def upload_input(self, task: ServedTask | str, name: str, content: bytes | Place) -> ServedTask:
        """Send an input that a task waits for: its content, or the path of a file with it."""
        path = f"{_path(task)}/inputs/{quote(name, safe='')}"
        if isinstance(content, bytes):
            return _read(self._checked("PUT", path, body=content)["task"])
        with Path(content).open("rb") as stream:
            size = {"Content-Length": str(os.fstat(stream.fileno()).st_size)}
            try:
                with self._open("PUT", path, body=stream, headers=size) as found:
                    answer = Answer(found.status, dict(found.headers), found.read())
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from error
        _check(answer, path)
        return _read(answer.json()["task"])

    def download_output(self, task: ServedTask | str, name: str, dest: Place) -> Path:
        """Write an output to the file `dest`, also an item such as `masks/0`, and return its path.

        `dest` appears with the whole content, or not at all.
        """
        path = f"{_path(task)}/outputs/{quote(name)}"
        target = Path(dest)
        with self._open("GET", path) as found:
            if found.status != 200:
                _check(Answer(found.status, dict(found.headers), found.read()), path)
            with fs.atomic_file(target) as temp, temp.open("wb") as stream:
                while data := found.read(_CHUNK):
                    stream.write(data)
                if found.length:
                    raise self._unreachable(OSError(f"the download ended {found.length} bytes too early"))
        return target


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _id(task: ServedTask | str) -> str:
    return task if isinstance(task, str) else task.id


def _path(task: ServedTask | str) -> str:
    if not _id(task):
        raise UsageError("the task id is empty", remedy="pass the id of a task")
    return f"/task/{quote(_id(task), safe='')}"


def _read(found: Mapping[str, Any]) -> ServedTask:
    return msgspec.convert({**found, "details": dict(found)}, ServedTask)


def _check(answer: Answer, path: str) -> None:
    """Raise the error of a response that is not a success."""
    if answer.status < 300:
        return
    try:
        found = answer.json()
        detail = found.get("detail") if isinstance(found, dict) else None
    except ValueError:
        found, detail = {}, answer.text[:200]
    remedy = str(found.get("hint") or "") if isinstance(found, dict) else ""
    if answer.status == 404 and _NO_TASK.fullmatch(str(detail)):
        raise TaskNotFound(str(detail), remedy="`GET /task/list?state=all` lists the tasks")
    problems = list(_problems(detail)) if isinstance(detail, list) else []
    reason = format_count(len(problems), "problem") if problems else str(detail)
    message = f"the server refused {path.partition('?')[0]}: {answer.status} {reason}"
    raise RequestRefused(message, status=answer.status, remedy=remedy, problems=problems)


def _problems(items: Iterable[Any]) -> Iterator[Problem]:
    for item in items:
        place = ".".join(map(str, item.get("loc", [])[1:])) if isinstance(item, dict) else ""
        yield Problem(place, str(item.get("msg") if isinstance(item, dict) else item))
