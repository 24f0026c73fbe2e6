"""A server that is killed at any moment loses nothing that it has confirmed, and leaves no partial upload."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from tests.support import bundles
from tests.support.cytomine_core import CytomineCore, RefusedError
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive
from tests.support.samples import images_of, remove_new_images
from tests.support.server_process import ServerProcess, serving

SCRIPT = b"#!/bin/sh\nprintf %s $(( $(cat /inputs/a) + $(cat /inputs/b) )) > /outputs/sum\n"
LONGEST = 2.5  # seconds until a kill: an upload, a run and its end take less
Found = TypeVar("Found")


class KilledServers:
    """A server that is killed `kills` times at random moments, and started again."""

    def __init__(self, folder: Path, kills: int, seed: int, stack: ExitStack) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._stack = stack
        self.kills = kills
        self.core = CytomineCore("")
        self._server: ServerProcess
        self._timer: threading.Timer | None = None
        self.start()

    def start(self) -> None:
        self._server = self._stack.enter_context(serving(self._folder))
        self.core.url = f"{self._server.address}/app-engine/v1"
        if self.kills:
            self.kills -= 1
            self._timer = threading.Timer(self._random.uniform(0, LONGEST), self._server.process.kill)
            self._timer.start()
            self._stack.callback(self._timer.cancel)

    def do(self, action: Callable[[], Found]) -> Found:
        """Send requests until no kill interrupts them."""
        while True:
            try:
                return action()
            except requests.ConnectionError:
                self._server.process.wait(60)  # else the error has another reason
                self.start()


def retried(action: Callable[[], Any], *expected: str) -> Callable[[], Any]:
    """Return an action that may be refused because it was done already, without a confirmation."""

    def act() -> Any:
        try:
            return action()
        except RefusedError as error:
            if error.response.json()["errorCode"] not in expected:
                raise
            return None

    return act


def sequence(servers: KilledServers, folder: Path, version: str) -> Iterator[str]:
    """Upload, run, read and delete; yield after each confirmed step."""
    core, archive = servers.core, image_archive(busybox_layer({"add": SCRIPT}), "add", Cmd=["/add"])
    bundle = bundles.bundle(folder, archive, DESCRIPTOR.replace("1.0.0", version))
    place = f"tasks/com.example.add/{version}"
    servers.do(retried(lambda: core.upload(bundle), "APPE-internal-task-exists"))
    yield "uploaded"
    task = servers.do(lambda: core.get(place))
    inputs, _ = servers.do(lambda: core.choose(task))
    run = servers.do(lambda: core.create_run(task))
    yield "created"
    for parameter, value in zip(sorted(inputs, key=lambda one: str(one["name"])), (3, 4), strict=True):
        servers.do(partial(core.provision, run, parameter, value))
    yield "provisioned"
    servers.do(retried(lambda: core.start(run), "APPE-internal-task-run-state-error"))
    yield "started"
    assert servers.do(lambda: core.watch(run))["state"] == "FINISHED"
    yield "finished"
    assert servers.do(lambda: core.outputs(run)) == {"sum": 7}
    shown = servers.do(lambda: core.get(f"task-runs/{run['id']}/inputs"))
    assert {value["parameterName"]: value["value"] for value in shown} == {"a": 3, "b": 4}
    servers.do(lambda: core.delete_run(run))
    servers.do(retried(lambda: core.delete_app(task), "APPE-internal-task-not-found"))
    yield "deleted"
    assert task not in servers.do(lambda: core.get("tasks"))


@pytest.mark.docker
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_a_killed_server_loses_nothing_that_it_has_confirmed(tmp_path: Path, kills: int) -> None:
    home = tmp_path / ".localrun"
    with remove_new_images(home) as images, ExitStack() as stack:
        servers = KilledServers(tmp_path, kills, kills, stack)
        number = 0
        while servers.kills or not number:
            for step in sequence(servers, tmp_path, f"1.0.{number}"):
                if step == "finished":
                    images.update(images_of(home))
            number += 1
        # Then nothing is left of the uploads that were interrupted
        servers.do(lambda: servers.core.get("tasks"))
    folders = [path for path in (home / "appengine").rglob("*") if path.is_file()]
    assert [path for path in folders if path.suffix in (".zip", ".tar", ".yml")] == []
