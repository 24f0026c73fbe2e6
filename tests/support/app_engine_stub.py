"""A server that behaves as App Engine does, for one task: the sum of two integers.

It knows nothing of localrun: refusals are those of App Engine's source, with its codes and messages.
"""

from __future__ import annotations

import io
import json
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import yaml

DEFAULT_PREFIX = "/app-engine/v1/"


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"errorCode": code, "message": message}
        if status != 403:
            self.body["details"] = details or {"type": "empty"}


def _value_error(name: str, message: str) -> RefusedError:
    details = {"type": "parameter", "parameterName": name}
    return RefusedError(400, "APPE-internal-request-validation-error", message, details)


@dataclass
class Stub:
    """The state of the server, and how it deviates.

    `result` computes the output of a run from its inputs; None fails the run. A run is QUEUING for `polls`
    requests.
    """

    url: str = ""
    tasks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    descriptors: dict[tuple[str, str], bytes] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    result: Callable[[dict[str, Any]], Any] = lambda given: given["a"] + given["b"]
    polls: int = 2

    def upload(self, body: bytes) -> Any:
        archive = body[body.index(b"PK\x03\x04") if b"PK\x03\x04" in body else len(body) :]
        try:
            with zipfile.ZipFile(io.BytesIO(archive[: archive.rindex(b"\r\n--")])) as found:
                source = found.read("descriptor.yml")
                images = [name for name in found.namelist() if name.endswith(".tar")]
        except (zipfile.BadZipFile, KeyError, ValueError):
            code, text = (
                "APPE-internal-descriptor-extraction-error",
                "failed to extract descriptor.yml from from bundle",
            )
            raise RefusedError(400, code, text) from None
        read = yaml.safe_load(source)
        if "version" not in read:
            item = {
                "errorCode": "APPE-internal-bundle-io-schema-validation-error",
                "message": "version is missing but it is required",
                "details": {"type": "parameter", "parameterName": "version"},
            }
            code = "APPE-internal-bundle-schema-validation-error"
            text = "Schema validation failed for the descriptor file"
            raise RefusedError(400, code, text, {"type": "batch", "errors": [item]})
        key = (read["namespace"], read["version"])
        if key in self.tasks:
            raise RefusedError(409, "APPE-internal-task-exists", "Task already exists.")
        if any("-" not in name for name in images):
            code = "APPE-internal-bundle-validation-error"
            raise RefusedError(400, code, "unknown task bundle archive format")
        self.descriptors[key] = source
        self.tasks[key] = {
            "id": str(uuid.uuid4()),
            "name": read["name"],
            "namespace": key[0],
            "version": key[1],
        }
        return self.tasks[key]

    def provision(self, run: dict[str, Any], name: str, found: Any) -> Any:
        if name not in ("a", "b"):
            details = {"type": "parameter", "parameterName": name}
            raise RefusedError(404, "APPE-internal-parameter-not-found", "parameter not found", details)
        if set(found) != {"parameterName", "value"}:
            raise RefusedError(403, "APPE-internal-task-run-state-error", "unable to process json")
        value = found["value"]
        if type(value) is not int:
            details = {"type": "server", "exceptionMessage": "class java.lang.String cannot be cast"}
            raise RefusedError(500, "APPE-internal-server-error", "Server error.", details)
        if value > 100:
            raise _value_error(name, "value must be less than or equal to defined constraint")
        run["inputs"][name] = value
        if len(run["inputs"]) == 2:
            run["state"] = "PROVISIONED"
        return {**found, "taskRunId": run["id"]}

    def start(self, run: dict[str, Any]) -> Any:
        if run["state"] == "CREATED":
            code = "APPE-internal-task-run-provisions-not-found"
            raise RefusedError(403, code, "not provisioned")
        run["state"], run["polls"] = "QUEUING", self.polls
        return {"status": "success", "resource": self.shown(run)}

    def poll(self, run: dict[str, Any]) -> Any:
        if run["state"] == "QUEUING":
            run["polls"] -= 1
            if run["polls"] <= 0:
                run["output"] = self.result(run["inputs"])
                run["state"] = "FAILED" if run["output"] is None else "FINISHED"
        return self.shown(run)

    def shown(self, run: dict[str, Any]) -> Any:
        return {key: run[key] for key in ("id", "task", "state")} | {"createdAt": "", "updatedAt": None}

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """Return the answer to a request: an object, or bytes."""
        parts = [unquote(part) for part in path.partition("?")[0].split("/")]
        if parts == ["tasks"]:
            return self.upload(body) if method == "POST" else list(self.tasks.values())
        if parts[0] == "tasks" and len(parts) >= 3:
            return self._of_task(method, (parts[1], parts[2]), parts[3:])
        run = self.runs.get(parts[1]) if parts[0] == "task-runs" and len(parts) > 1 else None
        if run is None:
            raise RefusedError(404, "APPE-internal-run-not-found-error", "Run not found.")
        return self._of_run(method, run, parts[2:], body)

    def _of_task(self, method: str, key: tuple[str, str], rest: list[str]) -> Any:
        task = self.tasks.get(key)
        if task is None:
            raise RefusedError(404, "APPE-internal-task-not-found", "Task not found.")
        if method == "DELETE":
            del self.tasks[key]
            return b""
        if rest == ["descriptor.yml"]:
            return self.descriptors[key]
        if rest == ["runs"] and method == "POST":
            run: dict[str, Any] = {"id": str(uuid.uuid4()), "task": task, "state": "CREATED"}
            self.runs[run["id"]] = {**run, "inputs": {}}
            return run
        return task

    def _of_run(self, method: str, run: dict[str, Any], rest: list[str], body: bytes) -> Any:
        if not rest:
            if method == "DELETE":
                run["deleted"] = True
                return b""
            return self.poll(run)
        if rest[0] == "input-provisions":
            return self.provision(run, rest[1], json.loads(body))
        if rest == ["state-actions"]:
            return self.start(run)
        if rest == ["logs"]:
            return b"the log of the server\n"
        if run["state"] != "FINISHED":
            raise RefusedError(403, "APPE-internal-task-run-state-error", "run is in invalid state")
        if rest == ["outputs"]:
            found = {
                "taskRunId": run["id"],
                "parameterName": "sum",
                "type": "INTEGER",
                "value": run["output"],
            }
            return [found]
        return str(run["output"]).encode()


@contextmanager
def serve_stub(prefix: str = DEFAULT_PREFIX, **options: Any) -> Iterator[Stub]:
    """Serve a stub on a free port."""
    stub = Stub(**options)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                if not self.path.startswith(prefix):
                    details = {"type": "server", "exceptionMessage": f"No static resource {self.path}."}
                    raise RefusedError(500, "APPE-internal-server-error", "Server error.", details)
                path = self.path.removeprefix(prefix)
                with lock:
                    stub.requests.append(f"{self.command} {path}")
                    stub.tokens.add(self.headers.get("Authorization"))
                    found, status = stub.answer(self.command, path, body), 200
            except RefusedError as error:
                found, status = error.body, error.status
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
