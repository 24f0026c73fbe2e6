"""Making an image available: errors, and folders that change in the meantime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.bundle.images.ensure import ensure_image, find_present
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import BuildRequest, EngineImage, Progress, Warn, no_progress, no_warning
from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, EngineError, ImageError


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


class Classic(FakeEngine):
    """An engine whose builder takes a base image of any platform."""

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> EngineImage:
        return super().build_image(replace(request, platform="linux/amd64"), progress, warn)


def test_an_image_that_was_built_for_another_platform_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/Dockerfile").write_text("FROM base\n")
    engine, source, cache = Classic(), ImageFolder(tmp_path / "bundle"), tmp_path / "cache"
    with pytest.raises(ImageError, match=r"built for linux/amd64, .* not for linux/arm64") as caught:
        ensure_image(source, engine, cache=cache, platform="linux/arm64")
    assert caught.value.cause is Cause.IMAGE_PLATFORM
    with pytest.raises(ImageError, match="not for linux/arm64"):  # also when it is there
        find_present(source, engine, cache=cache, platform="linux/arm64")
    built = ensure_image(source, engine, cache=cache, platform="linux/amd64")
    assert find_present(source, engine, cache=cache, platform="linux/amd64") == built


class Changing(FakeEngine):
    """An engine during whose first build a file of the context changes or becomes unreadable."""

    def __init__(self, *, unreadable: bool) -> None:
        super().__init__()
        self._unreadable = unreadable

    def build_image(
        self, request: BuildRequest, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> EngineImage:
        made = super().build_image(request, progress, warn)
        if len(self.builds) == 1:
            program = request.folder / "program"
            program.write_text("second")
            if self._unreadable:
                (request.folder / ".dockerignore").write_text("[\n")
        return made


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_folder_that_changes_during_its_build_is_built_again_by_the_next_run(
    tmp_path: Path, *, unreadable: bool
) -> None:
    # Given a folder that changes after its files were read
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY program /\n")
    (folder / "program").write_text("first")
    engine = Changing(unreadable=unreadable)
    warnings: list[str] = []

    # When it is built, then the user is warned, and the image has a name
    first = ensure_image(ImageFolder(folder), engine, cache=tmp_path / "cache", warn=warnings.append)
    assert warnings == [f"files in {folder} changed during the build: the next run builds the image again"]
    assert len(engine.require_image(first.id).tags) == 1

    # When either content is asked for, then neither has the image of the other one
    (folder / ".dockerignore").unlink(missing_ok=True)
    for content in ("second", "first"):
        (folder / "program").write_text(content)
        made = ensure_image(ImageFolder(folder), engine, cache=tmp_path / "cache", warn=warnings.append)
        assert engine.find_image(first.id) is None or made.id == first.id
    assert len(engine.builds) == 3
    assert len(warnings) == 1
