"""The life of a run on a real engine, with a server that is killed in between."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import bundles
from tests.support.descriptors import as_json, parameter
from tests.support.image_files import dicom, png, slide
from tests.support.images import busybox_layer, image_archive
from tests.support.samples import remove_new_images
from tests.support.server_process import ServerProcess, serving

pytestmark = pytest.mark.docker

POINT = '{"type":"Point","coordinates":[1,2]}'
PROGRAM = """
cd /inputs || exit 1
find . -type f | sort
cp -r number geometry image images numbers slide /outputs/
rm -r /outputs/slide
echo "number is $(cat number)" >&2
"""
INPUTS = {
    "number": "integer",
    "geometry": "geometry",
    "image": "image",
    "images": {"id": "array", "subtype": "image"},
    "numbers": {"id": "array", "subtype": "integer"},
    "slide": "image",
    "left_out": parameter("string", optional=True, default="x"),
}
OUTPUTS = {name: INPUTS[name] for name in ("number", "geometry", "image", "images", "numbers")}
FILES = [
    *("geometry", "image", "image.geojson", "images/0", "images/1", "images/array.yml"),
    *("number", "numbers/0", "numbers/array.yml", "slide/a.dcm"),
]


class Client:
    """A client of the API on a server in another process."""

    def __init__(self, server: ServerProcess) -> None:
        self.url = f"{server.address}/app-engine/v1"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        response = requests.request(method, f"{self.url}/{path}", timeout=60, **options)
        assert response.status_code == 200, response.text
        return response

    def provision(self, run: str) -> None:
        """Provision all inputs, each in the way that Cytomine uses for its type."""
        path = f"task-runs/{run}/input-provisions"
        values = {"number": 15, "geometry": POINT}
        self.request("PUT", path, json=[{"parameterName": key, "value": one} for key, one in values.items()])
        self.request("POST", f"{path}/image", files=[("file", png()), ("location", POINT.encode())])
        self.request("POST", f"{path}/slide", files={"file": slide({"a.dcm": dicom()})})
        for index in range(2):
            self.request("POST", f"{path}/images/indexes?value={index}", files={"file": png()})
        self.request("PUT", f"{path}/numbers/indexes?value=0", json={"value": 7})

    def state(self, run: str) -> str:
        return str(self.request("GET", f"task-runs/{run}").json()["state"])

    def wait(self, run: str) -> str:
        """Poll the state of a run until it has ended, as Cytomine does."""
        limit = time.monotonic() + 120
        while (state := self.state(run)) not in ("FINISHED", "FAILED") and time.monotonic() < limit:
            time.sleep(0.1)
        return state


def write_bundle(folder: Path) -> Path:
    archive = image_archive(
        busybox_layer({"run.sh": b"#!/bin/sh\n" + PROGRAM.encode()}), "life", Cmd=["/run.sh"]
    )
    return bundles.bundle(folder, archive, json.dumps(as_json(INPUTS, OUTPUTS)))


def test_a_run_is_provisioned_run_read_and_deleted(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path)
    with remove_new_images(tmp_path / "kept"):
        # Given a run that is provisioned
        with serving(tmp_path) as server:
            client = Client(server)
            task = client.request("POST", "tasks", files={"task": bundle.read_bytes()}).json()
            run = client.request("POST", f"tasks/{task['id']}/runs").json()["id"]
            client.provision(run)
            assert client.state(run) == "PROVISIONED"
            inputs = client.request("GET", f"task-runs/{run}/inputs").json()
            server.process.kill()
            server.process.wait(60)

        # When the server was killed, the next one starts the run
        with serving(tmp_path) as server:
            client = Client(server)
            assert client.state(run) == "PROVISIONED"
            assert client.request("GET", f"task-runs/{run}/inputs").json() == inputs
            started = client.request("POST", f"task-runs/{run}/state-actions", json={"desired": "RUNNING"})
            assert started.json()["resource"]["state"] == "QUEUING"
            assert client.wait(run) == "FINISHED", client.request("GET", f"task-runs/{run}/logs").text

            # Then its program has seen the inputs, and its outputs can be read
            log = client.request("GET", f"task-runs/{run}/logs").text.splitlines()
            assert set(log) == {*(f"./{name}" for name in FILES), "number is 15"}
            packed = client.request("GET", f"task-runs/{run}/outputs.zip").content
            with zipfile.ZipFile(io.BytesIO(packed)) as archive:
                found = {name: archive.read(name) for name in archive.namelist()}
            assert set(found) == {name for name in FILES if name.split("/")[0] in OUTPUTS}
            assert (found["number"], found["image"], found["images/1"]) == (b"15", png(), png())
            listed = client.request("GET", f"task-runs/{run}/outputs").json()
            values = {one["parameterName"]: one["value"] for one in listed}
            assert values == {
                "number": 15,
                "geometry": POINT,
                "image": None,
                "images": [{"index": 0}, {"index": 1}],
                "numbers": [{"index": 0, "value": 7}],
            }

            # And it can be deleted, and stays readable
            record = requests.get(f"{server.address}/task/{run}", timeout=60).json()["task"]
            kept = tmp_path / "kept" / "tasks" / run
            kept.mkdir(parents=True)
            (kept / "task.json").write_text(json.dumps({"image": record["image"]}))
            client.request("DELETE", f"task-runs/{run}")
            assert client.state(run) == "FINISHED"
            assert requests.get(f"{server.address}/task/{run}", timeout=60).status_code == 404
