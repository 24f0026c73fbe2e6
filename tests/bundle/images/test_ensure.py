"""Errors of all ways to make an image available."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, EngineError


def test_a_full_disk_of_the_engine_is_named_with_its_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: Any) -> Any:
        message = "cannot build the image: the engine's disk is full: x"
        raise EngineError(message, remedy="free space", cause=Cause.DISK_FULL)

    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    engine = FakeEngine()
    monkeypatch.setattr(engine, "build_image", full)
    with pytest.raises(EngineError, match=f"the engine's disk \\({engine.info().root}\\) is full") as caught:
        ensure_image(ImageFolder(tmp_path), engine, cache=tmp_path / "cache")
    assert caught.value.cause is Cause.DISK_FULL
