"""`--platform`: images for another platform, for every source of an image and in every command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command
from tests.support.archives import oci_image, oci_layout
from tests.support.environment import DESCRIPTOR, IMAGE
from tests.support.images import tar_of

VALUES = ("-i", "a=3", "-i", "b=4")
ARM = "linux/arm64"


@pytest.fixture
def folder(localrun: Command) -> Path:
    """A bundle with a Dockerfile."""
    made = localrun.folder / "sum"
    made.mkdir()
    (made / "descriptor.yml").write_text(DESCRIPTOR)
    (made / "Dockerfile").write_text("FROM scratch\n")
    return made


@pytest.fixture
def archived(localrun: Command) -> Path:
    """A bundle with an image archive for two platforms."""
    made = localrun.folder / "archived"
    made.mkdir()
    (made / "descriptor.yml").write_text(DESCRIPTOR)
    images = oci_layout(oci_image(architecture="arm64"), oci_image())
    (made / "com.lab.sum-1.0.0.tar").write_bytes(tar_of(images))
    return made


def run(localrun: Command, *words: object) -> dict[str, Any]:
    done = localrun("run", *words, *VALUES, "--json")
    found: dict[str, Any] = done.json
    assert found["state"] == "FINISHED", done.err
    return found


@pytest.mark.parametrize("command", ["run", "validate", "build"])
def test_a_folder_is_built_for_the_platform(localrun: Command, folder: Path, command: str) -> None:
    values = VALUES if command == "run" else ()
    more = ("-o", localrun.folder / "x.zip") if command == "build" else ()
    localrun(command, folder, "--platform", "linux/aarch64", *values, *more)
    (built,) = localrun.engines[-1].builds
    assert built.platform == ARM


def test_each_platform_of_a_folder_has_its_own_image(localrun: Command, folder: Path) -> None:
    records = [run(localrun, folder, *options) for options in ((), ("--platform", ARM), ())]
    assert [record["platform"] for record in records] == ["linux/amd64", ARM, "linux/amd64"]
    assert records[0]["image"] == records[2]["image"] != records[1]["image"]
    builds = [engine.builds[0] for engine in localrun.engines[:2]]
    assert builds[0].labels != builds[1].labels  # so neither replaces the other


def test_the_image_of_the_platform_is_taken_from_an_archive(localrun: Command, archived: Path) -> None:
    assert run(localrun, archived)["platform"] == "linux/amd64"
    record = run(localrun, archived, "--platform", ARM)
    assert record["platform"] == ARM
    failed = localrun("run", archived, "--platform", "linux/s390x", *VALUES)
    assert (failed.code, "not for linux/s390x" in failed.err) == (3, True)
    assert "IMAGE_PLATFORM" in localrun("status", "last").out


def test_an_image_of_the_engine_for_another_platform_is_not_used(localrun: Command) -> None:
    descriptor = localrun.folder / "descriptor.yml"
    descriptor.write_text(DESCRIPTOR)
    options = ("--image", IMAGE, "--platform", ARM)
    failed = localrun("run", descriptor, *options, "--pull", "never", *VALUES)
    assert f"the engine's image {IMAGE} is for linux/amd64, not for {ARM}" in failed.err
    assert f"docker pull --platform {ARM} {IMAGE}" in failed.err


def test_an_emulated_image_has_a_warning_and_a_native_one_has_none(localrun: Command, folder: Path) -> None:
    (warning,) = run(localrun, folder, "--platform", ARM)["warnings"]
    assert warning.startswith(f"the image is for {ARM} and is emulated on this engine (linux/amd64)")
    assert run(localrun, folder, "--platform", "linux/386")["warnings"] == []


def test_the_platform_is_shown_remembered_and_part_of_commands(localrun: Command, folder: Path) -> None:
    run(localrun, folder, "--platform", ARM)
    assert ARM in localrun("status", "last").out
    described = localrun("describe", "last").out
    assert re.search(rf"Platform: +{ARM}", described)
    assert f"--platform {ARM}" in described
    assert localrun("rerun", "last", *VALUES, "--json").json["platform"] == ARM
    (one, two) = (record["id"] for record in localrun("list", "--json").json)
    other = run(localrun, folder)["id"]
    assert "platform" not in localrun("diff", one, two).out
    assert "platform" in localrun("diff", one, other).out


def test_validate_and_inspect_look_at_the_image_of_the_platform(localrun: Command, archived: Path) -> None:
    shown = [localrun("inspect", archived, *options).out for options in ((), ("--platform", ARM))]
    assert ["linux/amd64" in text for text in shown] == [True, False]
    found = localrun("validate", archived, "--platform", ARM, "--json").json
    assert "most cluster nodes are linux/amd64" in str(found)


def test_an_invalid_platform_is_refused_before_anything_happens(localrun: Command, folder: Path) -> None:
    failed = localrun("run", folder, "--platform", "linux/arm46", *VALUES)
    assert (failed.code, "did you mean 'arm64'?" in failed.err) == (2, True)
