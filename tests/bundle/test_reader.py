"""Reading bundles: all forms, all problems at once, and the cache."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from localrun.bundle import reader
from localrun.bundle.images import archive, file_cache
from localrun.bundle.images.build_options import FolderBuild
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageReference
from localrun.bundle.reader import Bundle
from localrun.errors import BundleError, DescriptorError, ImageError
from tests.support.archives import old_save, write_and_inspect
from tests.support.images import tar_of

DESCRIPTOR = b"""\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Add
name_short: add
version: 1.0.0
namespace: com.lab.add
authors:
  - {first_name: A, last_name: B, organization: C, email: a@example.org}
configuration:
  input_folder: /inputs
  output_folder: /outputs
inputs:
  a: {type: integer, description: one number, display_name: A}
outputs:
  sum: {type: integer, description: the sum, display_name: Sum}
"""
TAR = "com.lab.add-1.0.0.tar"
IMAGE = tar_of(old_save(["local-image-name:latest"]))


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", 0)  # treat new files as old


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def zip_of(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def folder_of(path: Path, members: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, data in members.items():
        (path / name).write_bytes(data)
    return path


@pytest.fixture(params=["stored zip", "deflated zip", "folder"])
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    members = {"descriptor.yml": DESCRIPTOR, TAR: IMAGE, "logo.png": b"png"}
    if request.param == "folder":
        yield folder_of(tmp_path / "task", members)
    else:
        method = zipfile.ZIP_STORED if request.param == "stored zip" else zipfile.ZIP_DEFLATED
        yield zip_of(tmp_path / "task.zip", members, method)


def archive_of(found: Bundle) -> ImageArchive:
    assert isinstance(found.image, ImageArchive)
    return found.image


def refusal(path: Path, cache: Path, kind: type[Exception] = BundleError) -> str:
    with pytest.raises(kind) as caught:
        reader.read_bundle(path, cache=cache)
    return str(caught.value)


# -- forms


def test_a_bundle_gives_its_descriptor_and_the_id_of_its_image(
    form: Path, cache: Path, tmp_path: Path
) -> None:
    found = reader.read_bundle(form, cache=cache)
    assert found.descriptor.namespace == "com.lab.add"
    assert archive_of(found).images == write_and_inspect(tmp_path / "same.tar", IMAGE).images
    assert found.image_name == "local-image-name:latest"
    assert found.name == str(form)
    assert found.warnings == ()


def test_the_second_reading_gives_the_same_without_looking_inside(
    form: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reader.read_bundle(form, cache=cache)
    monkeypatch.setattr(archive, "inspect", lambda *_: pytest.fail("the archive was read again"))
    assert reader.read_bundle(form, cache=cache) == first


def test_a_bundle_that_changed_is_looked_into_again(form: Path, cache: Path) -> None:
    first = reader.read_bundle(form, cache=cache)
    members = {"descriptor.yml": DESCRIPTOR.replace(b"1.0.0", b"1.0.1"), TAR: tar_of(old_save(["other:2"]))}
    if form.is_dir():
        for name, data in members.items():
            (form / name).write_bytes(data)
    else:
        zip_of(form, members)
    second = reader.read_bundle(form, cache=cache)
    assert (second.image_name, second.descriptor.version) == ("other:2", "1.0.1")
    assert second != first


def test_a_descriptor_that_was_read_is_not_read_as_yaml_again(
    form: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = reader.read_bundle(form, cache=cache)
    monkeypatch.setattr("localrun.descriptor.yaml.read", None)
    assert reader.read_bundle(form, cache=cache) == first


def test_a_damaged_cache_only_costs_time(form: Path, cache: Path) -> None:
    first = reader.read_bundle(form, cache=cache)
    for note in cache.rglob("*.json"):
        text = note.read_text().replace('"packed"', '"parked"').replace('"root"', '"toor"')
        note.write_text(text)
    assert reader.read_bundle(form, cache=cache) == first


def test_a_named_image_stands_for_the_bundles_own(form: Path, cache: Path) -> None:
    found = reader.read_bundle(form, image="lab/add:2", cache=cache)
    assert found.image == ImageReference("lab/add:2")
    assert found.image_name == "lab/add:2"


def test_a_folder_with_a_dockerfile_is_to_be_built(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {"Descriptor.YAML": DESCRIPTOR, "Dockerfile": b"FROM scratch"})
    found = reader.read_bundle(folder, cache=cache, build=FolderBuild(build_args={"BASE": "x"}))
    assert found.image == ImageFolder(folder, "Dockerfile", {"BASE": "x"})
    assert found.image_name == "task/Dockerfile"


def test_an_archive_is_taken_before_a_dockerfile_with_a_warning(tmp_path: Path, cache: Path) -> None:
    members = {"descriptor.yml": DESCRIPTOR, "Dockerfile": b"FROM scratch", TAR: IMAGE}
    found = reader.read_bundle(folder_of(tmp_path / "task", members), cache=cache)
    assert archive_of(found).images
    assert "the Dockerfile is ignored" in found.warnings[0]


def test_a_descriptor_stands_for_its_folder(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {"descriptor.yml": DESCRIPTOR, "Dockerfile": b"FROM scratch"})
    assert reader.read_bundle(folder / "descriptor.yml", cache=cache).image == ImageFolder(folder)


def test_a_descriptor_of_any_name_and_a_named_image_are_a_bundle(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(DESCRIPTOR)
    assert reader.read_bundle(path, image="lab/add:2", cache=cache).image == ImageReference("lab/add:2")
    assert "no image archive" in refusal(path, cache)


def test_noise_of_an_operating_system_is_passed_over(tmp_path: Path, cache: Path) -> None:
    noise = {f"__MACOSX/._{TAR}": b"x", "._descriptor.yml": b"x", ".DS_Store": b"x"}
    path = zip_of(tmp_path / "task.zip", {**noise, "descriptor.yml": DESCRIPTOR, TAR: IMAGE})
    assert reader.read_bundle(path, cache=cache).warnings == ()


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("image.tar", "with a '-'"),
        ("sub/a-1.tar", "its documented place is the root"),
        ("a-1.tar.gz", "looks for a name that ends in .tar"),
    ],
)
def test_what_app_engine_would_not_take_is_a_warning(
    name: str, warned: str, tmp_path: Path, cache: Path
) -> None:
    path = zip_of(tmp_path / "task.zip", {"descriptor.yml": DESCRIPTOR, name: IMAGE})
    assert warned in " ".join(reader.read_bundle(path, cache=cache).warnings)


def test_reading_leaves_nothing_but_the_cache(form: Path, cache: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    reader.read_bundle(form, cache=cache)
    assert sorted(tmp_path.iterdir()) == sorted([*before, cache])


# -- problems


def test_a_path_that_is_not_there_is_named(tmp_path: Path, cache: Path) -> None:
    assert f"no such file or folder: {tmp_path / 'absent.zip'}" in refusal(tmp_path / "absent.zip", cache)


def test_a_pipe_is_not_opened(tmp_path: Path, cache: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe.zip", cache)


def test_a_descriptor_in_a_sub_folder_is_told_where_it_belongs(tmp_path: Path, cache: Path) -> None:
    path = zip_of(tmp_path / "task.zip", {"task/descriptor.yml": DESCRIPTOR, f"task/{TAR}": IMAGE})
    said = refusal(path, cache)
    assert "'task/descriptor.yml'" in said
    assert "pack the contents of 'task'" in said


def test_a_bundle_without_anything_is_told_all_that_is_missing(tmp_path: Path, cache: Path) -> None:
    said = refusal(zip_of(tmp_path / "task.zip", {"readme.txt": b"x"}), cache)
    assert "missing descriptor.yml; found 'readme.txt'" in said
    assert "there is no image archive" in said


def test_several_image_archives_are_named(tmp_path: Path, cache: Path) -> None:
    path = zip_of(tmp_path / "task.zip", {"descriptor.yml": DESCRIPTOR, "a-1.tar": IMAGE, "b-1.tar": IMAGE})
    assert "2 image archives: 'a-1.tar', 'b-1.tar'" in refusal(path, cache)


def test_two_descriptors_are_named(tmp_path: Path, cache: Path) -> None:
    members = {"descriptor.yml": DESCRIPTOR, "Descriptor.yaml": DESCRIPTOR, TAR: IMAGE}
    assert "2 descriptors" in refusal(zip_of(tmp_path / "task.zip", members), cache)


@pytest.mark.parametrize("name", ["a-1.tar.xz", "a-1.tar.bz2", "a-1.tar.zst"])
def test_an_archive_in_another_packing_is_named(name: str, tmp_path: Path, cache: Path) -> None:
    path = zip_of(tmp_path / "task.zip", {"descriptor.yml": DESCRIPTOR, name: b"x"})
    assert "must be a plain .tar" in refusal(path, cache)


def test_a_wrong_descriptor_and_a_broken_image_are_told_together(form: Path, cache: Path) -> None:
    members = {"descriptor.yml": DESCRIPTOR.replace(b"integer", b"integr"), TAR: tar_of({"readme": b"x"})}
    if form.is_dir():
        for name, data in members.items():
            (form / name).write_bytes(data)
    else:
        zip_of(form, members)
    said = refusal(form, cache, DescriptorError)
    assert "integr" in said
    assert "neither manifest.json nor index.json" in said


def test_a_broken_image_alone_is_an_error_of_the_image(form: Path, cache: Path) -> None:
    broken = tar_of({"readme": b"x"})
    if form.is_dir():
        (form / TAR).write_bytes(broken)
    else:
        zip_of(form, {"descriptor.yml": DESCRIPTOR, TAR: broken})
    assert "neither manifest.json nor index.json" in refusal(form, cache, ImageError)
    noted = {note.parent.name for note in cache.rglob("*.json")}
    assert noted <= {"documents"}  # of the valid descriptor


@pytest.mark.parametrize("name", ["descriptor.yml", TAR, "Dockerfile"])
def test_links_that_leave_the_folder_are_refused(name: str, tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {"descriptor.yml": DESCRIPTOR, TAR: IMAGE, "Dockerfile": b"FROM x"})
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to("../outside")
    assert f"{name}: a link that leaves the folder" in refusal(folder, cache)


def test_links_inside_the_folder_are_followed(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {"real.yml": DESCRIPTOR, TAR: IMAGE})
    (folder / "descriptor.yml").symlink_to("real.yml")
    assert reader.read_bundle(folder, cache=cache).descriptor.version == "1.0.0"


def test_a_pipe_in_the_place_of_a_descriptor_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {TAR: IMAGE})
    os.mkfifo(folder / "descriptor.yml")
    assert "descriptor.yml: neither a file nor a folder" in refusal(folder, cache)


def test_a_huge_descriptor_is_refused(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "task", {"descriptor.yml": b"#" * (2 << 20), TAR: IMAGE})
    assert "larger than 1048576 bytes" in refusal(folder, cache)


# -- an image without a descriptor -----------------------------------------------------------------


def test_an_image_is_found_in_an_archive_a_folder_a_zip_or_a_dockerfile(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "image.tar").write_bytes(IMAGE)
    places = [
        tmp_path / "image.tar",
        folder_of(tmp_path / "folder", {TAR: IMAGE, "readme.txt": b""}),
        zip_of(tmp_path / "bundle.zip", {"descriptor.yml": DESCRIPTOR, TAR: IMAGE}),
    ]
    for place in places:
        found = reader.read_image(place, cache=cache)
        assert isinstance(found, ImageArchive)
        assert found.images[0].tags == ("local-image-name:latest",)
    built = folder_of(tmp_path / "built", {"Dockerfile": b"FROM x\n"})
    assert reader.read_image(built, cache=cache, build=FolderBuild(build_args={"A": "b"})) == ImageFolder(
        built, build_args={"A": "b"}
    )


def test_where_no_image_is_is_said(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(BundleError, match="neither a Dockerfile nor an image archive"):
        reader.read_image(folder_of(tmp_path / "empty", {"a.txt": b""}), cache=cache)
    with pytest.raises(BundleError, match="no such file or folder"):
        reader.read_image(tmp_path / "nothing.tar", cache=cache)
    with pytest.raises(BundleError) as caught:
        reader.read_image(folder_of(tmp_path / "two", {"a.tar": IMAGE, "b.tar": IMAGE}), cache=cache)
    assert "2 image archives" in str(caught.value)


def test_a_folder_that_may_be_an_iexec_app_is_said_to_be_run_as_one(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(BundleError) as caught:
        reader.read_bundle(folder_of(tmp_path / "app", {"Dockerfile": b"FROM x\n"}), cache=cache)
    assert "add it at the root; an iExec app has no descriptor" in str(caught.value)
