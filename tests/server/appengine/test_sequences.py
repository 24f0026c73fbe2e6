"""The requests of Cytomine's core, in its order, with the sample bundles on a real engine."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.api.remote.upload import packed
from localrun.app import App
from localrun.bundle.images.build_options import FolderBuild
from localrun.engines.dockerd import DockerEngine
from localrun.settings import Settings
from tests.conftest import ROOT
from tests.support.cytomine_core import CytomineCore
from tests.support.samples import BASE_IMAGE, images_of, remove_new_images
from tests.support.server_process import ServerProcess, serving

SAMPLES = ROOT / "samples"
ALWAYS = ("array-geometry", "array-image", "array-nested", "image-wsidicom", "number-special", "optional")
TYPES_OF = sorted(path.parent for path in (SAMPLES / "types").glob("*/descriptor.yml"))
OTHERS = [SAMPLES / "add-integers", SAMPLES / "count-cells"]


def marked(sample: Path) -> Any:
    is_short = sample.name in ALWAYS or sample.name == "add-integers"
    return pytest.param(sample, id=sample.name, marks=[] if is_short else [pytest.mark.slow])


@dataclass
class Site:
    """A server as a process, and an app that builds bundles for it."""

    server: ServerProcess
    app: App
    images: set[str]  # to remove at the end

    @property
    def core(self) -> CytomineCore:
        return CytomineCore(f"{self.server.address}/app-engine/v1")


@pytest.fixture(scope="module")
def site(classic_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("sequences")
    places = Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger.json")
    (folder / "server").mkdir()
    home = folder / "server" / ".localrun"
    with remove_new_images(home) as images, serving(folder / "server") as server:
        yield Site(server, App(places, classic_engine), images)


def upload(site: Site, sample: Path) -> Any:
    base = "localrun-base/busybox" if sample.parent.name == "types" else BASE_IMAGE
    with packed(site.app, sample, options=FolderBuild(build_args={"BASE_IMAGE": base})) as (archive, report):
        assert report.accepted
        return site.core.upload(archive)


@pytest.mark.docker
@pytest.mark.parametrize("sample", [marked(sample) for sample in (*OTHERS, *TYPES_OF)])
def test_a_user_uploads_runs_watches_reads_and_deletes(site: Site, sample: Path) -> None:
    core, given = site.core, values.load_values(sample / "inputs.json")
    # Given an uploaded app
    task = upload(site, sample)
    assert task in core.get("tasks")
    inputs, outputs = core.choose(task)

    # When it is run
    run = core.create_run(task)
    for parameter in inputs:
        if parameter["default"] != "null":  # the page fills it in, the server does not
            given.setdefault(parameter["name"], json.loads(parameter["default"]))
        if parameter["name"] in given:
            core.provision(run, parameter, given[parameter["name"]])
    core.start(run)
    ended = core.watch(run)

    # Then its outputs are those that the sample expects
    inputs_shown, log = core.details(run)
    assert ended["state"] == "FINISHED", log
    assert {value["parameterName"] for value in inputs_shown} == given.keys()
    expected = values.load_values(sample / "expected.json")
    assert unexpected(core.outputs(run), expected) == []
    content = core.send("GET", f"task-runs/{run['id']}/outputs.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        names = {name.partition("/")[0] for name in zipped.namelist()}
    assert names == {output["name"] for output in outputs}

    # And it can be deleted
    site.images.update(images_of(site.server.folder / ".localrun"))
    core.delete_run(run)
    assert core.get(f"task-runs/{run['id']}")["state"] == "FINISHED"
    core.delete_app(task)
    assert task not in core.get("tasks")


def unexpected(found: dict[str, Any], expected: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the outputs that are not as expected."""
    assert found.keys() == expected.keys()
    return [(name, found[name]) for name in expected if not _is_same(found[name], expected[name])]


def _is_same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(_is_same, found, expected))
    if isinstance(expected, values.FileValue) and expected.path.is_dir():
        files = sorted(path.read_bytes() for path in expected.path.rglob("*") if path.is_file())
        return bool(_files(found) == files)
    if isinstance(expected, values.FileValue):
        content = expected.path.read_bytes()
        if isinstance(found, str):  # a geometry
            return bool(json.loads(found) == json.loads(content))
        return bool(found == content)
    if isinstance(found, str) and isinstance(expected, str) and expected.startswith("{"):
        return bool(json.loads(found) == json.loads(expected))
    if isinstance(expected, str) and "T" in expected:
        return datetime.fromisoformat(found) == datetime.fromisoformat(expected)
    return bool(found == expected) or str(found).lower().replace("infinity", "inf") == str(expected).lower()


def _files(zipped: bytes) -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(zipped)) as found:
        return sorted(found.read(name) for name in found.namelist() if not name.endswith("/"))
