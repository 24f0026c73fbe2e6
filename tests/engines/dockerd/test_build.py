"""The output of the engine's own build endpoint, as Docker and Podman write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd.build import Build
from localrun.engines.dockerd.builders.clients import BUILDAH
from localrun.engines.dockerd.builders.dockerfiles import prepare


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
