"""A small project that uses the plugin, and pytest to run its tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localrun.bundle.images.build import build_labels
from localrun.engines.dockerd import DockerEngine
from tests.support.environment import DESCRIPTOR

PROGRAM = """\
a=$(cat /inputs/a); b=$(cat /inputs/b)
echo "adding $a and $b"
if [ "$a" = 0 ]; then sleep 100; fi
if [ "$a" = -1 ]; then echo "cannot add $a" >&2; exit 3; fi
printf %s $((a + b)) > /outputs/sum
"""


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "LOCALRUN_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with a bundle that is never built."""
    pytester.makefile(".yml", descriptor=DESCRIPTOR)
    (pytester.path / "Dockerfile").write_text("FROM nothing\n")
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return pytester


@pytest.fixture
def real_project(
    project: pytest.Pytester, busybox: str, docker_engine: DockerEngine
) -> Iterator[pytest.Pytester]:
    """A folder with a bundle that adds integers; with a = 0 it hangs, with a = -1 it fails."""
    (project.path / "add.sh").write_text(PROGRAM)
    dockerfile = f'FROM {busybox}\nCOPY add.sh /add.sh\nCMD ["sh", "/add.sh"]\n'
    (project.path / "Dockerfile").write_text(dockerfile)
    (project.path / ".dockerignore").write_text("*\n!add.sh\n")
    yield project
    for found in docker_engine.images(build_labels(project.path.resolve())):
        for tag in found.tags:
            docker_engine.remove_image(tag)
