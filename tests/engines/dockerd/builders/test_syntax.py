"""`# syntax=` lines whose frontend is out of reach are detected before the build."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd.builders.dockerfiles import PreparedDockerfile, prepare
from localrun.engines.dockerd.builders.syntax import resolve_syntax
from localrun.errors import Cause, ImageError

OFFLINE = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host'


class Engine:
    """An engine with some images, whose registry gives one answer."""

    def __init__(self, status: int = 500, reason: str = OFFLINE, has: str = "") -> None:
        self.api: Any = self
        self.asked: list[str] = []
        self._status, self._reason, self._has = status, reason, has

    def find_image(self, reference: str) -> object | None:
        return object() if reference == self._has else None

    def send(self, _method: str, path: str) -> Any:
        self.asked.append(path)
        body = io.BytesIO(json.dumps({"message": self._reason}).encode())
        return SimpleNamespace(status=self._status, chunks=lambda: iter([body.read()]))


def resolve(folder: Path, text: str, engine: Engine) -> tuple[PreparedDockerfile, list[str]]:
    (folder / "Dockerfile").write_text(text)
    warnings: list[str] = []
    found: Any = engine
    return resolve_syntax(prepare(BuildRequest(folder, "x:1")), found, "20.10.24", warnings.append), warnings


def test_without_the_line_nothing_is_asked(tmp_path: Path) -> None:
    engine = Engine()
    assert resolve(tmp_path, "FROM a\n", engine)[0].text == "FROM a\n"
    assert engine.asked == []


@pytest.mark.parametrize(
    "frontend", ["docker/dockerfile:1", "docker.io/docker/dockerfile", "docker/dockerfile:1.7@sha256:ab"]
)
def test_the_official_frontend_is_left_out_if_it_is_not_needed(tmp_path: Path, frontend: str) -> None:
    found, (warning,) = resolve(tmp_path, f"# syntax={frontend}\nFROM a\n", Engine())
    assert found.text == "#\nFROM a\n"
    assert warning.startswith(f"Dockerfile:1: `# syntax={frontend}` is ignored because no registry ")


@pytest.mark.parametrize(
    "engine", [Engine(has="docker/dockerfile:1"), Engine(200, ""), Engine(403, "denied: requested access")]
)
def test_a_frontend_within_reach_is_used(tmp_path: Path, engine: Engine) -> None:
    text = "# syntax=docker/dockerfile:1\nFROM a\n"
    assert resolve(tmp_path, text, engine)[0].text == text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a\nRUN <<EOF\nx\nEOF\n", "use Docker 23.0 or newer"),
        ("# syntax=lab/frontend\nFROM a\n", "remove the line if the Dockerfile does not need it"),
    ],
)
def test_a_frontend_that_is_needed_is_an_error_before_the_build(
    tmp_path: Path, text: str, remedy: str
) -> None:
    with pytest.raises(ImageError, match="Dockerfile:1: `# syntax=") as raised:
        resolve(tmp_path, text, Engine())
    assert "go online, or import it with `docker load -i FILE`" in raised.value.remedy
    assert remedy in raised.value.remedy
    assert raised.value.cause is Cause.IMAGE_BUILD_FAILED
