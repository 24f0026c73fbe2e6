"""A program or a build that lacks a package says what to add to the image."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.engines.dockerd import DockerEngine
from localrun.errors import ImageError


def failure(engine: DockerEngine, folder: Path, dockerfile: str, cache: Path) -> ImageError:
    """Build a Dockerfile that cannot be built."""
    folder.mkdir()
    (folder / "Dockerfile").write_text(dockerfile)
    with pytest.raises(ImageError) as raised:
        ensure_image(ImageFolder(folder, "Dockerfile"), engine, cache=cache)
    return raised.value


@pytest.mark.docker
@pytest.mark.parametrize("builder", ["classic_engine", "buildkit_engine"])
@pytest.mark.parametrize(
    ("instruction", "remedy"),
    [
        ("RUN pip install numpy", "base image with pip"),
        ("RUN apt-get update && apt-get install -y libgl1", "`samples/base/make.sh PACKAGE...`"),
        ("RUN echo 'ImportError: libGL.so.1: cannot open shared object file'; exit 1", "install -y libgl1`"),
        ("COPY --from=registry.invalid/tool:1 /tool /bin/", "--build-context registry.invalid/tool:1="),
    ],
)
def test_a_build_that_lacks_something_says_what_to_do(
    request: pytest.FixtureRequest, busybox: str, tmp_path: Path, builder: str, instruction: str, remedy: str
) -> None:
    engine: DockerEngine = request.getfixturevalue(builder)

    failed = failure(engine, tmp_path / "bundle", f"FROM {busybox}\n{instruction}\n", tmp_path / "cache")

    assert remedy in failed.remedy, failed.message
