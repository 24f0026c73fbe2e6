"""Many clients at once, and files that are larger than the memory of the server may grow."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from localrun.api.remote.connection import FormFile, ServerConnection
from tests.support import bundles
from tests.support.cytomine_core import CytomineCore
from tests.support.descriptors import as_json
from tests.support.images import busybox_layer, image_archive
from tests.support.samples import remove_new_images
from tests.support.server_process import ServerProcess, serving

MIB = 1024**2
COUNT = b"#!/bin/sh\nwc -c < /inputs/f > /outputs/size\n"
ECHO = b"#!/bin/sh\ncp /inputs/n /outputs/n\n"


def bundle(folder: Path, program: bytes, inputs: Any, outputs: Any) -> Path:
    archive = image_archive(busybox_layer({"program": program}), "load", Cmd=["/program"])
    return bundles.bundle(folder, archive, json.dumps(as_json(inputs, outputs)))


@pytest.mark.docker
@pytest.mark.parametrize("each", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_five_clients_run_tasks_at_once_and_each_gets_its_own_results(tmp_path: Path, each: int) -> None:
    with remove_new_images(tmp_path / ".localrun"), serving(tmp_path) as server:
        url = f"{server.address}/app-engine/v1"
        task = CytomineCore(url).upload(bundle(tmp_path, ECHO, {"n": "integer"}, {"n": "integer"}))

        def work(client: int) -> list[int]:
            core, found = CytomineCore(url), []
            (parameter,), _ = core.choose(task)
            for number in range(client * 100, client * 100 + each):
                run = core.create_run(task)
                core.provision(run, parameter, number)
                core.start(run)
                ended = core.watch(run)
                assert ended["state"] == "FINISHED", core.details(run)
                found.append(core.outputs(run)["n"])
            return found

        with ThreadPoolExecutor(5) as threads:
            found = list(threads.map(work, range(5)))
        assert found == [list(range(client * 100, client * 100 + each)) for client in range(5)]
        assert len(CytomineCore(url).get(f"tasks/{task['namespace']}/{task['version']}/runs")) == 5 * each


@contextmanager
def growth_of(server: ServerProcess) -> Iterator[list[int]]:
    """Measure by how many bytes the memory of a server grows. The list has the result afterwards."""
    process, done = psutil.Process(server.process.pid), threading.Event()
    before, most, found = process.memory_info().rss, [0], list[int]()

    def sample() -> None:
        while not done.wait(0.02):
            most[0] = max(most[0], process.memory_info().rss)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        found.append(max(most[0], process.memory_info().rss) - before)


@pytest.mark.docker
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("size", [100 * MIB, pytest.param(2**31 - 1, marks=pytest.mark.slow)])
def test_a_large_input_is_sent_stored_and_read_in_constant_memory(tmp_path: Path, size: int) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(size)
    with remove_new_images(tmp_path / ".localrun"), serving(tmp_path) as server:
        core = CytomineCore(f"{server.address}/app-engine/v1")
        task = core.upload(bundle(tmp_path, COUNT, {"f": "file"}, {"size": "integer"}))
        run = core.create_run(task)
        connection = ServerConnection(core.url)
        place, copy = f"task-runs/{run['id']}", tmp_path / "copy"
        with growth_of(server) as growth:
            sent = connection.send_form(f"{place}/input-provisions/f", [FormFile("file", "f", large)])
            assert sent.is_ok, sent.text
            assert connection.download(f"{place}/input/f", copy).is_ok
            assert copy.stat().st_size == size
            zipped = connection.download(f"{place}/inputs.zip", copy)
            assert zipped.is_ok, zipped.text
        assert growth[0] < 64 * MIB
        core.start(run)
        assert core.watch(run)["state"] == "FINISHED"
        assert core.outputs(run) == {"size": size}
    large.unlink()
    copy.unlink()
