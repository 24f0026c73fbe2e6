"""A client that sends the requests of Cytomine's core, in its order, for what a user does in the web page.

Core reads only what it needs of an answer; so does this client, with `getText()` where core has it. Values
that the web page cannot send (arrays of plain values, dates) are sent as a script for App Engine does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from localrun.values import FileValue

DEADLINE = 240.0  # seconds for a run on a loaded machine
TYPE_IDS = {
    *("boolean", "integer", "number", "string", "enumeration", "datetime", "geometry", "file", "image"),
    "array",
}


class RefusedError(AssertionError):
    """An answer that core hands to the browser."""

    def __init__(self, response: requests.Response) -> None:
        request = response.request
        super().__init__(f"{request.method} {request.url}: {response.status_code} {response.text}")
        self.response = response


@dataclass
class CytomineCore:
    """`url` is APPENGINE_API_URL with APPENGINE_API_BASE_PATH."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        # core writes `//` after the prefix, of which its client makes one `/`
        response = self.session.request(method, f"{self.url}/{path}", timeout=DEADLINE, **options)
        if not response.ok:
            raise RefusedError(response)
        return response

    def get(self, path: str) -> Any:
        return self.send("GET", path).json()

    # -- apps ----------------------------------------------------------------------------------------

    def upload(self, bundle: Path) -> Any:
        """Upload an app, with the file name of a temporary file."""
        with bundle.open("rb") as stream:
            return self.send("POST", "tasks", files={"task": ("upload_1234", stream)}).json()

    def delete_app(self, task: Any) -> None:
        """Delete an app: core reads the runs first."""
        for run in self.get(f"{_place(task)}/runs"):
            assert run["id"]
        assert self.send("DELETE", _place(task)).content == b""

    def choose(self, task: Any) -> tuple[list[Any], list[Any]]:
        """Return the inputs and outputs that the page shows for an app."""
        assert self.get(_place(task))["name"] == task["name"]
        inputs, outputs = self.get(f"{_place(task)}/inputs"), self.get(f"{_place(task)}/outputs")
        for parameter in inputs:
            assert parameter["display_name"]
            assert isinstance(parameter["default"], str)
            assert isinstance(parameter["optional"], bool)
        for parameter in (*inputs, *outputs):
            assert parameter["type"]["id"] in TYPE_IDS
        return inputs, outputs

    # -- runs ----------------------------------------------------------------------------------------

    def create_run(self, task: Any) -> Any:
        """Create a run, as the first request of "Run task"."""
        run = self.send("POST", f"{_place(task)}/runs", headers={"Content-Type": "application/json"}).json()
        assert (run["state"], run["task"]["name"], run["task"]["version"]) == (
            "CREATED",
            task["name"],
            task["version"],
        )
        for output in self.get(f"{_place(task)}/outputs"):
            assert {"name", "derivedFrom", "type"} <= output.keys()
        return run

    def provision(self, run: Any, parameter: Any, value: Any) -> None:
        """Set an input, by the request for its type."""
        name, kind = parameter["name"], parameter["type"]
        place = f"task-runs/{run['id']}/input-provisions/{name}"
        if kind["id"] in ("image", "file"):
            self._send_file(place, value)
        elif kind["id"] == "array" and kind["subType"]["id"].lower() in ("image", "file"):
            for index, item in enumerate(value):
                self._send_file(f"{place}/indexes?value={index}", item)
        elif kind["id"] == "array" and kind["subType"]["id"].lower() == "geometry":
            for index, item in enumerate(value):
                answer = self.send("PUT", f"{place}/indexes?value={index}", json={"value": _plain(item)})
                assert answer.json()["index"] == f"{name}/{index}"
        else:
            body = {"parameterName": name, "value": _indexed(_plain(value))}
            answer = self.send("PUT", place, json=body)
            assert answer.json() == {**body, "taskRunId": run["id"]}

    def _send_file(self, place: str, value: Any) -> None:
        region = value.get("region") if isinstance(value, Mapping) else None
        path = (value["file"] if isinstance(value, Mapping) else value).path
        files: dict[str, Any] = {"file": (path.name, path.read_bytes())}
        if region is not None:
            files["location"] = ("1.geojson", _plain(region).encode())
        self.send("POST", place, files=files)

    def start(self, run: Any) -> Any:
        answer = self.send("POST", f"task-runs/{run['id']}/state-actions", json={"desired": "RUNNING"}).json()
        assert (answer["status"], answer["resource"]["state"]) == ("success", "QUEUING")
        return answer["resource"]

    def watch(self, run: Any, pause: float = 0.05) -> Any:
        """Return the run when it has ended. The page asks every two seconds."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = self.get(f"task-runs/{run['id']}")
            if found["state"] in ("FINISHED", "FAILED"):
                return found
            time.sleep(pause)
        raise AssertionError(f"the run {run['id']} does not end")

    def outputs(self, run: Any) -> dict[str, Any]:
        """Return the values by name; that of an image or a file is its content."""
        found = {}
        for value in self.get(f"task-runs/{run['id']}/outputs"):
            assert value["taskRunId"] == run["id"]
            found[value["parameterName"]] = self._value(run, value)
        return found

    def _value(self, run: Any, value: Any) -> Any:
        if value["type"] in ("IMAGE", "FILE"):
            assert value["value"] is None
            return self.download(run, "output", value["parameterName"])
        if value["type"] == "ARRAY" and value.get("subType") in ("IMAGE", "FILE"):
            assert all(set(item) == {"index"} for item in value["value"])
            place = f"task-runs/{run['id']}/output/{value['parameterName']}/indexes"
            return [self.send("GET", f"{place}?value={item['index']}").content for item in value["value"]]
        return _read(value)

    def download(self, run: Any, side: str, name: str) -> bytes:
        return self.send("GET", f"task-runs/{run['id']}/{side}/{name}").content

    def details(self, run: Any) -> tuple[Any, str]:
        """Return the inputs and the log that the page shows for a finished run."""
        self.get(f"task-runs/{run['id']}")
        inputs = self.get(f"task-runs/{run['id']}/inputs")
        return inputs, self.send("GET", f"task-runs/{run['id']}/logs").text

    def delete_run(self, run: Any) -> None:
        self.send("DELETE", f"task-runs/{run['id']}")


def _place(task: Any) -> str:
    return f"tasks/{task['namespace']}/{task['version']}"


def _plain(value: Any) -> Any:
    """Return a value as JSON: the content of a file, and a geometry as a string."""
    if isinstance(value, FileValue):
        return value.path.read_text()
    if isinstance(value, Mapping):
        return json.dumps(value)
    return value


def _indexed(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [{"index": index, "value": _indexed(_plain(item))} for index, item in enumerate(value)]


def _read(value: Any) -> Any:
    """Return the value of a ParameterValue or of an item, as localrun has it."""
    found = value["value"]
    if value.get("type") == "GEOMETRY":
        assert isinstance(found, str)  # core reads it as a text
    if isinstance(found, list):
        assert value["subType"]
        return [_read(item) for item in found]
    return [] if value.get("type") == "ARRAY" and found is None else found
