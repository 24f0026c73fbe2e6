"""Git LFS pointers in place of archives, inputs and files of a build context."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.bundle import lfs
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageFolder
from localrun.bundle.reader import read_bundle
from localrun.descriptor import read
from localrun.engines.context.files import BuildContext
from localrun.engines.fake import FakeEngine
from localrun.errors import BundleError, ImageError, InputsError
from localrun.values import provision
from tests.support.environment import DESCRIPTOR

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def test_a_pointer_is_recognised_by_its_first_line(tmp_path: Path) -> None:
    for name, text in {"pointer": POINTER, "text": "version 1\n", "large": POINTER + "x" * 1024}.items():
        (tmp_path / name).write_text(text)
    assert [path.name for path in sorted(tmp_path.iterdir()) if lfs.is_pointer(path)] == ["pointer"]
    assert not lfs.is_pointer(tmp_path)
    assert not lfs.is_pointer(tmp_path / "absent")


def test_a_pointer_in_place_of_an_image_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "com.lab-1.0.tar").write_text(POINTER)
    with pytest.raises(ImageError, match=r"com\.lab-1\.0\.tar is a Git LFS pointer") as caught:
        read_bundle(tmp_path, cache=tmp_path / "cache")
    assert "git lfs pull" in caught.value.remedy


def test_a_pointer_in_place_of_a_bundle_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text(POINTER)
    with pytest.raises(BundleError, match="is not a zip: it is a Git LFS pointer") as caught:
        read_bundle(tmp_path / "bundle.zip", cache=tmp_path / "cache")
    assert "git lfs pull" in caught.value.remedy


@pytest.mark.parametrize("kind", ["image", "file", "geometry"])
def test_a_pointer_in_place_of_an_input_is_reported(tmp_path: Path, kind: str) -> None:
    head, _, rest = DESCRIPTOR.partition("inputs:\n")
    _, _, outputs = rest.partition("outputs:\n")
    one = f"inputs:\n  a: {{type: {kind}, description: d, display_name: A}}\n"
    (tmp_path / "pointer").write_text(POINTER)
    with pytest.raises(InputsError) as caught:
        provision(
            read(f"{head}{one}outputs:\n{outputs}".encode()), {"a": tmp_path / "pointer"}, tmp_path / "in"
        )
    (problem,) = caught.value.problems
    assert "pointer is a Git LFS pointer, not the file itself" in problem.message
    assert "git lfs pull" in problem.remedy


def test_pointers_in_a_context_are_named_before_the_build(tmp_path: Path) -> None:
    # Given a context with pointers, of which one is excluded
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    (folder / ".dockerignore").write_text("excluded\n")
    for name in ("weights.h5", "model.pt", "excluded"):
        (folder / name).write_text(POINTER)

    # When it is built twice
    warnings: list[str] = []
    engine = FakeEngine()
    for _ in range(2):
        ensure_image(ImageFolder(folder), engine, cache=tmp_path / "cache", warn=warnings.append)

    # Then the pointers are reported once, before the build
    (warning,) = warnings
    assert "2 Git LFS pointers in place of the files: model.pt, weights.h5" in warning
    assert "git lfs pull" in warning


def test_only_a_few_names_are_listed(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.bin").write_text(POINTER)
    (warning,) = lfs.context_warnings(BuildContext(tmp_path))
    assert "4.bin and 3 more" in warning
