"""Images by name: pull policies, and one pull at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from localrun.bundle.images.ensure import PullPolicy, ensure_image
from localrun.bundle.images.source import ImageReference
from localrun.engines.base import Engine, EngineImage, Progress, Warn
from localrun.engines.dockerd import DockerEngine
from localrun.errors import Cause, ImageError, TaskKilled

FOUND = EngineImage("sha256:" + "1" * 64, "linux", "amd64", 1)
PULLED = EngineImage("sha256:" + "2" * 64, "linux", "amd64", 1)


@dataclass
class Registry:
    """An engine with some images and a registry with all images."""

    kept: dict[str, EngineImage] = field(default_factory=dict)
    pulled: list[str] = field(default_factory=list)

    def find_image(self, reference: str) -> EngineImage | None:
        return self.kept.get(reference)

    def pull_image(self, reference: str, progress: Progress, _platform: str, _warn: Warn) -> EngineImage:
        progress("pulling", 1, 2)
        self.pulled.append(reference)
        self.kept[reference] = PULLED
        return PULLED


def ensure(engine: Registry, reference: str, cache: Path, pull: PullPolicy = "missing") -> EngineImage:
    return ensure_image(ImageReference(reference), cast(Engine, engine), cache=cache, pull=pull)


def refusal(engine: Registry, reference: str, cache: Path, pull: PullPolicy = "missing") -> ImageError:
    with pytest.raises(ImageError) as caught:
        ensure(engine, reference, cache, pull)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("policy", ["never", "missing"])
def test_an_image_that_is_there_is_taken(policy: PullPolicy, tmp_path: Path) -> None:
    engine = Registry({"lab/count:1": FOUND})
    assert ensure(engine, "lab/count:1", tmp_path, policy) == FOUND
    assert engine.pulled == []


def test_a_missing_image_is_pulled_once(tmp_path: Path) -> None:
    engine = Registry()
    assert ensure(engine, "lab/count:1", tmp_path) == PULLED
    assert ensure(engine, "lab/count:1", tmp_path) == PULLED
    assert engine.pulled == ["lab/count:1"]


def test_always_means_always(tmp_path: Path) -> None:
    engine = Registry({"lab/count:1": FOUND})
    assert ensure(engine, "lab/count:1", tmp_path, "always") == PULLED


def test_a_missing_image_that_may_not_be_pulled_is_refused(tmp_path: Path) -> None:
    error = refusal(Registry(), "lab/count:1", tmp_path, "never")
    assert error.cause is Cause.IMAGE_MISSING
    assert "docker pull lab/count:1" in error.remedy


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_an_id_is_found_and_never_pulled(policy: PullPolicy, tmp_path: Path) -> None:
    assert ensure(Registry({FOUND.id: FOUND}), FOUND.id, tmp_path, policy) == FOUND
    error = refusal(Registry(), FOUND.id, tmp_path, policy)
    assert error.cause is Cause.IMAGE_MISSING
    assert "an id cannot be pulled" in error.message


@pytest.mark.parametrize("name", ["", "-v", "a b", "../x", "name\n", "x" * 600])
def test_what_cannot_be_a_name_is_refused_before_anything_is_asked(name: str, tmp_path: Path) -> None:
    assert "invalid image name" in refusal(Registry(), name, tmp_path).message


def test_a_pull_can_be_given_up(tmp_path: Path) -> None:
    calls = iter(range(10))

    def check() -> None:
        if next(calls) == 1:  # the first call is before the lock
            raise TaskKilled("enough")

    engine = Registry()
    with pytest.raises(TaskKilled):
        ensure_image(
            ImageReference("lab/count:1"), cast(Engine, engine), cache=tmp_path, check_cancelled=check
        )
    assert engine.pulled == []


@pytest.mark.docker
def test_a_real_engine_finds_an_image_by_its_name(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    made = ensure_image(ImageReference(busybox), docker_engine, cache=tmp_path, pull="never")
    assert busybox in made.tags
