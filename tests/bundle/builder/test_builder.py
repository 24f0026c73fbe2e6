"""Built bundles: their content, and reproducibility."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from localrun.bundle.builder.builder import BuildOptions, BuiltBundle, build
from localrun.bundle.builder.zip_writer import ZipWriter
from localrun.bundle.images.build import build_labels
from localrun.bundle.validation.validator import validate
from localrun.engines.base import Engine
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeEngine
from localrun.errors import (
    BundleError,
    Cause,
    DescriptorError,
    EngineUnreachable,
    ImageError,
    LocalrunError,
    UsageError,
)
from tests.support.archives import attestation, oci_image, oci_layout, old_save
from tests.support.bundles import DESCRIPTOR, ELF, NAME, image, layer_of
from tests.support.images import image_content_of, image_id, tar_of


def no_engine() -> Engine:
    raise EngineUnreachable("no container engine answers")


class Shelf:
    """Folders with bundles, and a target folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = folder / "made"
        self.made.mkdir()
        self.numbers = iter(range(100))

    def bundle(self, archive: bytes, descriptor: str = DESCRIPTOR, **files: bytes) -> Path:
        folder = self.folder / f"bundle-{next(self.numbers)}"
        folder.mkdir()
        (folder / "descriptor.yml").write_text(descriptor)
        (folder / "image.tar").write_bytes(archive)
        for name, data in files.items():
            (folder / name.replace("_", ".")).write_bytes(data)
        return folder

    def build(self, path: Path, **more: object) -> BuiltBundle:
        order = replace(BuildOptions(path, self.made / f"{next(self.numbers)}.zip"), **more)  # type: ignore[arg-type]
        return build(order, no_engine, cache=self.folder / "cache")

    @property
    def left(self) -> list[str]:
        return sorted(os.listdir(self.made))  # noqa: PTH208 - names


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def tar_in(package: BuiltBundle) -> dict[str, tarfile.TarInfo]:
    with zipfile.ZipFile(package.path) as archive, archive.open(NAME) as member:
        return {info.name: info for info in tarfile.open(fileobj=io.BytesIO(member.read()))}


PROGRAM = layer_of({"hello": ELF})


def test_the_descriptor_comes_first_then_the_image_then_the_logo(shelf: Shelf) -> None:
    package = shelf.build(shelf.bundle(image(), logo_png=b"\x89PNG"))
    with zipfile.ZipFile(package.path) as archive:
        assert archive.namelist() == ["descriptor.yml", NAME, "logo.png"]
        assert archive.read("descriptor.yml") == DESCRIPTOR.encode()
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}
    assert package.report.findings == ()


def test_no_size_of_the_zip_stands_behind_its_content(shelf: Shelf) -> None:
    package = shelf.build(shelf.bundle(image()))
    with zipfile.ZipFile(package.path) as archive:
        assert [item.flag_bits & 0x8 for item in archive.infolist()] == [0, 0]


def test_the_archive_holds_the_image_under_its_documented_name_and_nothing_else(shelf: Shelf) -> None:
    given = image()
    package = shelf.build(shelf.bundle(given))
    members = tar_in(package)
    assert next(iter(members)) == "manifest.json"
    assert len(members) == 3
    with zipfile.ZipFile(package.path) as archive:
        packed = archive.read(NAME)
    with tarfile.open(fileobj=io.BytesIO(packed)) as opened:
        (entry,) = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert entry["RepoTags"] == ["com/example/add:1.0.0"]
    assert image_id(packed) == image_id(given)


def test_times_and_owners_are_fixed(shelf: Shelf) -> None:
    package = shelf.build(shelf.bundle(image()))
    assert {(info.mtime, info.uid, info.gid, info.mode) for info in tar_in(package).values()} == {
        (0, 0, 0, 0o644)
    }
    with zipfile.ZipFile(package.path) as archive:
        assert {item.date_time for item in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_same_image_gives_the_same_bytes_however_it_was_saved(shelf: Shelf) -> None:
    members = old_save(layer=PROGRAM)
    document = json.loads(members["manifest.json"])
    config = members[document[0]["Config"]]
    moved = {"x/layer.tar": PROGRAM, "config.json": config}
    document[0] |= {"Config": "config.json", "Layers": ["x/layer.tar"], "RepoTags": None}
    other = {**moved, "manifest.json": json.dumps(document).encode(), "more": b"x"}
    variants = [
        tar_of(members),
        tar_of(dict(reversed(members.items()))),
        tar_of(other),
        gzip.compress(tar_of(members)),
    ]
    packages = [shelf.build(shelf.bundle(variant)) for variant in variants]
    assert len({package.digest for package in packages}) == 1
    assert len({package.path.read_bytes() for package in packages}) == 1


def test_a_zip_can_be_packed_anew_and_stays_the_same(shelf: Shelf) -> None:
    first = shelf.build(shelf.bundle(image()))
    again = shelf.build(first.path)
    assert again.digest == first.digest


def test_a_compressed_zip_is_packed_anew(shelf: Shelf) -> None:
    path = shelf.folder / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("descriptor.yml", DESCRIPTOR)
        archive.writestr(NAME, image())
    assert shelf.build(path).digest == shelf.build(shelf.bundle(image())).digest


def test_layers_of_a_layout_are_unpacked_and_attestations_left_out(shelf: Shelf) -> None:
    package = shelf.build(shelf.bundle(tar_of(oci_layout(oci_image(PROGRAM), attestation()))), force=True)
    members = tar_in(package)
    (layer,) = (info for name, info in members.items() if name.endswith("/layer.tar"))
    assert layer.size == len(PROGRAM)
    assert len(members) == 3


def test_of_several_platforms_the_usual_one_is_packed(shelf: Shelf) -> None:
    arm = oci_image(layer_of({"a": b""}), architecture="arm64")
    package = shelf.build(shelf.bundle(tar_of(oci_layout(arm, oci_image(PROGRAM)))), force=True)
    assert package.report.image is not None
    assert package.report.image.platform == "linux/amd64"


def test_a_layer_that_the_image_has_twice_is_packed_once(shelf: Shelf) -> None:
    members = old_save(layer=PROGRAM)
    document = json.loads(members.pop("manifest.json"))
    name = document[0]["Config"]
    config = json.loads(members.pop(name))
    config["rootfs"]["diff_ids"] *= 2
    document[0] |= {"Config": "config.json", "Layers": document[0]["Layers"] * 2}
    whole = {
        **members,
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(document).encode(),
    }
    package = shelf.build(shelf.bundle(tar_of(whole)))
    assert len(tar_in(package)) == 3
    assert len(package.members[1].layers) == 2


def test_every_part_is_told_with_its_size(shelf: Shelf) -> None:
    package = shelf.build(shelf.bundle(image()))
    sizes = {part.name: part.size for part in package.members}
    with zipfile.ZipFile(package.path) as archive:
        assert sizes == {item.filename: item.file_size for item in archive.infolist()}
    assert package.size == package.path.stat().st_size
    assert sum(layer.size for layer in package.members[1].layers) < sizes[NAME]


def test_what_app_engine_would_refuse_is_not_left_behind(shelf: Shelf) -> None:
    folder = shelf.bundle(image(), DESCRIPTOR.replace("name_short: add\n", ""))
    package = shelf.build(folder)
    assert (package.written, shelf.left) == (False, [])
    assert shelf.build(folder, force=True).written
    assert len(shelf.left) == 1


def test_a_former_file_stays_until_the_new_one_is_whole(shelf: Shelf) -> None:
    target = shelf.made / "t.zip"
    target.write_text("old")
    with pytest.raises(ImageError, match="damaged"):
        shelf.build(shelf.bundle(damaged()), target=target)
    assert (target.read_text(), shelf.left) == ("old", ["t.zip"])
    shelf.build(shelf.bundle(image()), target=target)
    assert zipfile.is_zipfile(target)
    assert shelf.left == ["t.zip"]


def damaged() -> bytes:
    """An archive whose layer does not match its configuration."""
    members = old_save(layer=PROGRAM)
    members["abc/layer.tar"] = layer_of({"hello": ELF, "other": b"x"})
    return tar_of(members)


@pytest.mark.parametrize(
    ("archive", "descriptor", "error"),
    [
        (image(), "name: x", DescriptorError),
        (b"junk", DESCRIPTOR, ImageError),
        (image()[: len(image()) // 2], DESCRIPTOR, ImageError),
        (damaged(), DESCRIPTOR, ImageError),
    ],
)
def test_what_cannot_be_packed_leaves_nothing(
    shelf: Shelf, archive: bytes, descriptor: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shelf.build(shelf.bundle(archive, descriptor))
    assert shelf.left == []


def test_a_target_that_cannot_be_written_is_told_before_anything_is_packed(shelf: Shelf) -> None:
    with pytest.raises(UsageError, match="cannot write") as raised:
        shelf.build(shelf.bundle(image()), target=shelf.folder / "none" / "x.zip")
    assert raised.value.remedy


def test_an_interrupted_pack_leaves_nothing(shelf: Shelf) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    order = BuildOptions(shelf.bundle(gzip.compress(image())), shelf.made / "x.zip")
    with pytest.raises(KeyboardInterrupt):
        build(order, no_engine, cache=shelf.folder / "cache", progress=stop)
    assert shelf.left == []


def test_nothing_to_pack_is_a_wrong_bundle(shelf: Shelf) -> None:
    with pytest.raises(BundleError):
        shelf.build(shelf.folder / "none")


def test_an_image_of_an_engine_is_saved_and_packed(shelf: Shelf) -> None:
    engine = FakeEngine()
    engine.load_image([image()])
    (shelf.folder / "descriptor.yml").write_text(DESCRIPTOR)
    order = BuildOptions(shelf.folder / "descriptor.yml", shelf.made / "x.zip", image="com/example/add:1.0.0")
    package = build(order, lambda: engine, cache=shelf.folder / "cache")
    assert package.digest == shelf.build(shelf.bundle(image())).digest


def test_the_zip_tells_readers_of_streams_the_sizes_beforehand_also_of_large_members(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with ZipWriter(path) as packed:
        packed.add("small", 3, [b"abc"])
        packed.add("large", 3 << 30, [b"abc"])  # the announced size decides on Zip64
    head = path.read_bytes()
    small, large = head.index(b"small"), head.index(b"large")
    assert int.from_bytes(head[small - 12 : small - 8], "little") == 3
    # in the extra field; Python 3.11.2 writes a size that fits to both places
    assert int.from_bytes(head[large - 12 : large - 8], "little") in (3, 0xFFFFFFFF)
    assert int.from_bytes(head[large + 9 : large + 17], "little") == 3


@pytest.fixture
def built(docker_engine: DockerEngine, busybox: str, tmp_path: Path) -> Iterator[Path]:
    """A folder with a Dockerfile; its image is removed afterwards."""
    folder = tmp_path / "task"
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    (folder / "hello").write_text("3")
    start = 'ENTRYPOINT ["sh", "-c", "cat /hello > /outputs/sum"]'
    lines = [f"FROM {busybox}", "COPY hello /hello", start]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    yield folder
    for found in docker_engine.images(build_labels(folder.resolve())):
        for tag in found.tags:
            docker_engine.remove_image(tag)


@pytest.mark.docker
def test_a_dockerfile_becomes_a_zip_that_is_accepted_and_the_same_each_time(
    docker_engine: DockerEngine, built: Path, tmp_path: Path
) -> None:
    def make(name: str) -> BuiltBundle:
        return build(BuildOptions(built, tmp_path / name), lambda: docker_engine, cache=tmp_path / "cache")

    first, second = make("1.zip"), make("2.zip")
    assert first.written
    assert first.digest == second.digest
    assert len(first.members[1].layers) == 2
    report = validate(first.path, cache=tmp_path / "other", engine=no_engine)
    assert (report.accepted, report.findings) == (True, ())
    with zipfile.ZipFile(first.path) as archive:
        packed = archive.read(NAME)
    assert image_content_of(packed) in {image.content for image in docker_engine.images({})}


@pytest.mark.parametrize("free", [1 << 20, 64 << 20])
def test_a_disk_without_space_is_named_before_anything_is_built_or_saved(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    # Given a disk with no space for any image, and one with too little for this image
    engine = FakeEngine()
    large = msgspec.structs.replace(engine.add_image("large:1"), size=64 << 20)
    monkeypatch.setattr(engine, "find_image", lambda _: large)
    monkeypatch.setattr(engine, "save_image", lambda _: pytest.fail("the image was saved"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    (shelf.folder / "descriptor.yml").write_text(DESCRIPTOR)

    # When the image is packed
    order = BuildOptions(shelf.folder / "descriptor.yml", shelf.made / "x.zip", image="large:1")
    with pytest.raises(LocalrunError, match=f"not enough space on the disk of {shelf.made}") as caught:
        build(order, lambda: engine, cache=shelf.folder / "cache")

    # Then nothing was saved, and another disk is suggested
    assert caught.value.cause is Cause.DISK_FULL
    assert "-o" in caught.value.remedy
    assert shelf.left == []
