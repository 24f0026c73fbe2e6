"""`localrun run --remote` with the sample bundles, against a localrun server in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from tests.conftest import ROOT
from tests.support.samples import remove_new_images
from tests.support.server_process import ServerProcess, environment, serving
from tests.support.session import remove_at_end

TYPES_OF = sorted(path.parent for path in (ROOT / "samples/types").glob("*/descriptor.yml"))
ALWAYS = ("array-image", "default")
BASE = "localrun-base/busybox"

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    with remove_new_images(folder / ".localrun"), serving(folder) as server:
        yield server


def run(folder: Path, sample: Path, url: str) -> Any:
    """Run a sample on both, and return the record of the command."""
    words = ["run", str(sample), "--inputs", str(sample / "inputs.json"), "--build-arg", f"BASE_IMAGE={BASE}"]
    with remove_new_images(folder / ".localrun"):
        done = subprocess.run(
            [sys.executable, "-m", "localrun", *words, "--remote", url, "-o", "out", "--json"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param(one, id=one.name, marks=[] if one.name in ALWAYS else [pytest.mark.slow])
        for one in TYPES_OF
    ],
)
def test_both_agree_about_a_sample_of_each_type(
    server: ServerProcess, docker_engine: DockerEngine, tmp_path: Path, sample: Path
) -> None:
    found = run(tmp_path, sample, server.address)
    for image in docker_engine.images(build_labels(sample.resolve())):
        remove_at_end(*image.tags)
    assert found["agree"], found
    assert found["state"] == "FINISHED"
    assert [step["step"] for step in found["steps"] if step["agree"] is not True] == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(found["outputs"])
