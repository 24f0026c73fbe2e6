"""The output of the engine's own build endpoint, as Docker and Podman write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd.build import Build
from localrun.engines.dockerd.builders.clients import BUILDAH
from localrun.engines.dockerd.builders.dockerfiles import prepare
from localrun.errors import ImageError


@pytest.mark.parametrize("line", ["Step 3/7 : RUN make", "STEP 3/7: RUN make", "[2/2] STEP 3/7: RUN make"])
def test_steps_are_reported_and_named_in_errors(tmp_path: Path, line: str) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\nRUN make\n")
    request = BuildRequest(tmp_path, "x:1")
    steps: list[tuple[str, int, int | None]] = []
    images: Any = None
    build = Build(
        images,
        request,
        lambda *step: steps.append(step),
        prepared=prepare(request),
        client=BUILDAH,
        docker="",
    )
    for text in (
        line,
        " ---> Running in 0123456789ab",
        "two",
        "Removing intermediate container 0123456789ab",
    ):
        build.handle({"stream": f"{text}\n"})
    assert steps == [(line, 3, 7)]
    with pytest.raises(Exception, match="exit status 3") as raised:
        build.handle({"error": "while running runtime: exit status 3"})
    assert str(raised.value).startswith("the build failed at `RUN make` (Dockerfile:2): ")
    assert "exit status 3\n    two" in str(raised.value)
    assert "intermediate" not in str(raised.value)


def test_a_line_that_comes_in_parts_and_colours_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a\nRUN uv sync\n")
    request = BuildRequest(tmp_path, "x:1")
    images: Any = None
    build = Build(images, request, lambda *_: None, prepared=prepare(request), client=BUILDAH, docker="20.10")
    for text in (
        "Step 2/2 : RUN uv sync",
        "\n",
        "\x1b[91m/bin/sh: \x1b[0m",
        "\x1b[91muv: not found\n\x1b[0m",
        "end",
    ):
        build.handle({"stream": text})
    with pytest.raises(ImageError) as raised:
        build.handle({"error": "returned a non-zero code: 127"})
    assert "\n    /bin/sh: uv: not found\n    end" in raised.value.message
    assert "COPY --from=ghcr.io/astral-sh/uv" in raised.value.remedy
