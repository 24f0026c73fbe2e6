"""The requests of App Engine's API that a client needs, from the upload of a task to its outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from localrun.api.remote.connection import FormFile, Reply, Sent, ServerConnection
from localrun.errors import Cause, LocalrunError

PREFIXES = ("/app-engine/v1", "/api/v1")  # Cytomine's, and that of an App Engine without settings


class Refusal(LocalrunError):
    """An answer of the server that is not the expected one."""

    default_cause = Cause.ENGINE_FAILED


def connect(url: str, token: str | None = None) -> AppEngineClient:
    """Return a client for a server.

    A URL without a path is completed with the prefix that the server answers. Raises `UsageError` for an
    invalid URL, `Refusal` if no App Engine answers there, and `LocalrunError` if nothing does.
    """
    given = ServerConnection(url, token)
    if urlsplit(given.url).path:
        found = [AppEngineClient(given)]
    else:
        found = [AppEngineClient(ServerConnection(given.url + prefix, token)) for prefix in PREFIXES]
    answers = []
    for client in found:
        answers.append(client.get("tasks"))
        if answers[-1].is_ok and isinstance(answers[-1].json(), list):
            return client
    raise _no_app_engine(found[0], answers[0])


def _no_app_engine(client: AppEngineClient, answer: Reply) -> Refusal:
    remedy = "pass the URL with its path, e.g. http://localhost:8080/app-engine/v1"
    if answer.status == 401:
        remedy = "set LOCALRUN_REMOTE_TOKEN to the token of the server"
    return Refusal(
        f"no App Engine answers at {client.url}: {describe(answer)}",
        remedy=remedy,
        cause=Cause.ENGINE_UNREACHABLE,
    )


def describe(answer: Reply) -> str:
    """Return a refusal as one line: the status, the message, and the details."""
    found = answer.json()
    if not isinstance(found, dict) or "errorCode" not in found:
        text = " ".join(answer.text.split())[:200]
        return f"{answer.status} {text}".rstrip()
    details = found.get("details") or {}
    parts = [str(found.get("message")), *(_detail(item) for item in _errors(details))]
    return f"{answer.status} {found['errorCode']}: {'; '.join(part for part in parts if part)}"


def _errors(details: Any) -> list[Any]:
    if not isinstance(details, dict):
        return []
    errors = details.get("errors")
    return errors if isinstance(errors, list) else [{"details": details}]


def _detail(error: Any) -> str:
    inner = error.get("details") if isinstance(error, dict) else None
    inner = inner if isinstance(inner, dict) else {}
    texts = (inner.get("parameterName"), error.get("message"), inner.get("description"))
    found = [str(text) for text in (*texts, inner.get("exceptionMessage")) if text]
    return ": ".join(found)


class AppEngineClient:
    """Sends requests to a server. Methods return its answer, also if that is a refusal."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection

    @property
    def url(self) -> str:
        return self.connection.url

    def get(self, path: str) -> Reply:
        return self.connection.request("GET", path)

    def task(self, namespace: str, version: str) -> Reply:
        """Get a task."""
        return self.get(_task(namespace, version))

    def descriptor(self, namespace: str, version: str) -> Reply:
        """Get the descriptor of a task as it was uploaded."""
        return self.get(f"{_task(namespace, version)}/descriptor.yml")

    def upload(self, bundle: Path, progress: Sent) -> Reply:
        """Upload a bundle, with constant memory."""
        return self.connection.send_form("tasks", [FormFile("task", bundle.name, bundle)], progress)

    def delete_task(self, namespace: str, version: str) -> Reply:
        """Delete a task with its runs."""
        return self.connection.request("DELETE", _task(namespace, version))

    def create_run(self, namespace: str, version: str) -> Reply:
        return self.connection.request("POST", f"{_task(namespace, version)}/runs")

    def set_input(self, run: str, name: str, value: Any, index: str | None = None) -> Reply:
        """Set an input, or an item of an array, to a JSON value."""
        place = _provision(run, name, index)
        content = {"parameterName": name, "value": value} if index is None else {"value": value}
        return self.connection.request("PUT", place, content)

    def send_input(
        self, run: str, name: str, content: bytes | Path, region: bytes | None, index: str | None = None
    ) -> Reply:
        """Set an input, or an item of an array, to a file, with a geometry next to it."""
        parts = [FormFile("file", name, content)]
        if region is not None:
            parts.append(FormFile("location", f"{name}.geojson", region))
        return self.connection.send_form(_provision(run, name, index), parts)

    def start(self, run: str) -> Reply:
        """Request the state RUNNING."""
        return self.connection.request("POST", f"task-runs/{run}/state-actions", {"desired": "RUNNING"})

    def run(self, run: str) -> Reply:
        """Get a run with its state."""
        return self.get(f"task-runs/{run}")

    def outputs(self, run: str) -> Reply:
        """Get the outputs of a finished run as JSON."""
        return self.get(f"task-runs/{run}/outputs")

    def logs(self, run: str) -> Reply:
        return self.get(f"task-runs/{run}/logs")

    def download_output(self, run: str, name: str, target: Path) -> Reply:
        """Write an output to a file; that of an array or a folder is a zip."""
        return self.connection.download(f"task-runs/{run}/output/{quote(name)}", target)

    def delete_run(self, run: str) -> Reply:
        """Stop a run and delete its files."""
        return self.connection.request("DELETE", f"task-runs/{run}")


def _task(namespace: str, version: str) -> str:
    return f"tasks/{quote(namespace)}/{quote(version)}"


def _provision(run: str, name: str, index: str | None) -> str:
    item = "" if index is None else f"/indexes?value={quote(index)}"
    return f"task-runs/{run}/input-provisions/{quote(name)}{item}"
