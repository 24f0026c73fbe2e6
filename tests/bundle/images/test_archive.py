"""Inspecting image archives: all formats, and all defects."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.bundle.images.archive import inspect
from localrun.bundle.images.compressed import FileSpan
from localrun.errors import Cause, ImageError
from tests.support.archives import (
    LAYER,
    attestation,
    blob,
    config,
    manifest_json,
    nested,
    oci_image,
    oci_layout,
    old_save,
    sha,
    write_and_inspect,
)
from tests.support.images import tar_of


def refused(path: Path, members: dict[str, bytes] | bytes) -> str:
    with pytest.raises(ImageError) as caught:
        write_and_inspect(path, members)
    assert caught.value.cause is Cause.IMAGE_INVALID
    assert caught.value.remedy
    return str(caught.value)


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return tmp_path / "com.lab-1.0.tar"


# -- valid archives


def test_an_old_docker_save_gives_the_id_of_its_configuration(tar: Path) -> None:
    found = write_and_inspect(tar, old_save())
    assert [image.id for image in found.images] == [f"sha256:{sha(config(LAYER, Cmd=['/hello']))}"]
    assert found.images[0].tags == ("local-image-name:latest",)
    assert found.images[0].layers == ("abc/layer.tar",)
    assert found.images[0].platform == "linux/amd64"
    assert found.warnings == ()


def test_an_image_without_a_tag_can_be_read(tar: Path) -> None:
    assert write_and_inspect(tar, old_save(tags=None)).images[0].tags == ()


def test_members_may_be_written_with_a_dot_before_them(tar: Path) -> None:
    found = write_and_inspect(tar, {f"./{name}": data for name, data in old_save().items()})
    assert found.images[0].layers == ("abc/layer.tar",)


def test_equal_layers_that_docker_save_links_are_followed(tar: Path) -> None:
    text = config(LAYER, LAYER)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in {"1/layer.tar": LAYER, "c.json": text}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("2/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../1/layer.tar"
        archive.addfile(link)
        data = manifest_json("c.json", ["1/layer.tar", "2/layer.tar"], None)
        info = tarfile.TarInfo("manifest.json")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    image = write_and_inspect(tar, packed.getvalue()).images[0]
    assert image.layers == ("1/layer.tar", "1/layer.tar")
    assert image.size == len(LAYER) + len(text)


def test_a_newer_docker_save_with_both_documents_is_one_image_with_its_tag(tar: Path) -> None:
    image = oci_image()
    members = oci_layout(nested(image, attestation()))
    parts = json.loads(image.members[f"blobs/sha256/{image.descriptor['digest'][7:]}"])
    names = [f"blobs/sha256/{part['digest'][7:]}" for part in (parts["config"], *parts["layers"])]
    members["manifest.json"] = manifest_json(names[0], names[1:], ["lab/count:1"])
    found = write_and_inspect(tar, members)
    assert [(item.id, item.tags) for item in found.images] == [(parts["config"]["digest"], ("lab/count:1",))]


def test_a_pure_oci_layout_gives_the_digest_of_its_configuration_and_its_name(tar: Path) -> None:
    named = oci_image().renamed(annotations={"io.containerd.image.name": "docker.io/lab/count:2"})
    found = write_and_inspect(tar, oci_layout(named))
    assert found.images[0].id == f"sha256:{sha(config(LAYER))}"
    assert found.images[0].tags == ("docker.io/lab/count:2",)


def test_attestations_are_no_images(tar: Path) -> None:
    assert len(write_and_inspect(tar, oci_layout(attestation(), oci_image())).images) == 1


def test_an_attestation_that_only_its_configuration_shows_is_no_image(tar: Path) -> None:
    hidden = attestation()
    hidden.descriptor.pop("platform")
    hidden.descriptor.pop("annotations")
    assert len(write_and_inspect(tar, oci_layout(hidden, oci_image())).images) == 1


def test_every_platform_of_a_nested_index_is_found(tar: Path) -> None:
    both = nested(oci_image(), oci_image(architecture="arm64", variant="v8"), attestation())
    found = write_and_inspect(tar, oci_layout(both))
    assert [image.platform for image in found.images] == ["linux/amd64", "linux/arm64/v8"]


def test_a_platform_that_was_not_saved_is_a_warning_when_another_is_there(tar: Path) -> None:
    absent = oci_image(architecture="arm64")
    members = oci_layout(nested(oci_image(), absent))
    members.pop(f"blobs/sha256/{absent.descriptor['digest'][7:]}")
    found = write_and_inspect(tar, members)
    assert [image.platform for image in found.images] == ["linux/amd64"]
    assert "linux/arm64 is missing" in found.warnings[0]


def test_a_gzipped_archive_is_read_with_a_warning(tar: Path) -> None:
    found = write_and_inspect(tar, gzip.compress(tar_of(old_save())))
    assert found.span.compression == ("gzip",)
    assert "App Engine would refuse" in found.warnings[0]


def test_a_stored_archive_is_hopped_over_and_not_read(tar: Path) -> None:
    text = config(LAYER)
    manifest = tar_of({"c.json": text, "manifest.json": manifest_json("c.json", ["big.tar"], None)})
    header = tarfile.TarInfo("big.tar")
    header.size = 1 << 40
    with tar.open("wb") as file:  # an empty terabyte: only skipping is fast enough
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        file.seek(1 << 40, 1)
        file.write(manifest)
    assert inspect(FileSpan(tar, 0, tar.stat().st_size), "x").images[0].size == (1 << 40) + len(text)


def test_names_longer_than_a_header_are_read(tar: Path) -> None:
    name = "l" * 300 + "/layer.tar"
    text = config(LAYER)
    members = {"c.json": text, name: LAYER, "manifest.json": manifest_json("c.json", [name], None)}
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        assert write_and_inspect(tar, packed.getvalue()).images[0].layers == (name,)


# -- broken archives


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"not a tar at all", "it is not a tar"),
        (b"x" * 4096, "it is not a tar"),
        (bytes(10240), "is an empty tar"),
        (gzip.compress(b"text", mtime=0), "it is not a tar"),
        (gzip.compress(tar_of(old_save()), mtime=0)[:-20], "compressed data ends too early"),
    ],
)
def test_what_is_no_archive_is_named(tar: Path, data: bytes, said: str) -> None:
    assert said in refused(tar, data)


def test_an_archive_that_was_cut_off_inside_a_layer_is_said_to_end_too_early(tar: Path) -> None:
    assert "bytes too early" in refused(tar, tar_of(old_save(layer=bytes(50_000)))[:20_000])


def test_an_archive_that_was_cut_off_between_members_lacks_its_end_mark(tar: Path) -> None:
    whole = tar_of({"a": b"1", "b": b"2"})
    assert "may be truncated" in refused(tar, whole[:1024])


def test_a_manifest_alone_is_named_as_that(tar: Path) -> None:
    members = {"manifest.json": old_save()["manifest.json"]}
    said = refused(tar, members)
    assert "has the manifest of an image" in said
    assert "layer 1 of 1, 'abc/layer.tar', is missing" in said


def test_a_missing_configuration_and_a_missing_layer_are_told_together(tar: Path) -> None:
    members = old_save()
    members.pop("abc/layer.tar")
    members.pop(next(name for name in members if len(name) > 64))
    said = refused(tar, members)
    assert "the configuration" in said
    assert "'abc/layer.tar', is missing" in said


def test_a_manifest_that_is_not_json_is_named(tar: Path) -> None:
    assert "manifest.json: invalid JSON" in refused(tar, {**old_save(), "manifest.json": b"[{]"})
    assert "invalid JSON: no object or list" in refused(tar, {**old_save(), "manifest.json": b"hello"})


@pytest.mark.parametrize("data", [b"{}", b"[]", b"[1]", b'[{"Config": 1, "Layers": {}}]', b"[" * 100_000])
def test_a_manifest_of_another_shape_is_refused(tar: Path, data: bytes) -> None:
    assert "manifest.json" in refused(tar, {**old_save(), "manifest.json": data})


def test_a_configuration_that_does_not_fit_its_name_is_refused(tar: Path) -> None:
    members = old_save()
    name = next(name for name in members if len(name) > 64)
    assert "does not match its name" in refused(tar, {**members, name: config(LAYER, Cmd=["/other"])})


def test_an_oci_manifest_that_does_not_fit_its_name_is_refused(tar: Path) -> None:
    image = oci_image()
    name = f"blobs/sha256/{image.descriptor['digest'][7:]}"
    members = oci_layout(image)
    assert "does not match its name" in refused(tar, {**members, name: members[name] + b" "})


def test_more_layers_than_the_configuration_knows_are_refused(tar: Path) -> None:
    text = config(LAYER)
    members = {"c.json": text, "l": LAYER, "manifest.json": manifest_json("c.json", ["l", "l"], None)}
    assert "it lists 2 layers, its configuration 1" in refused(tar, members)


def test_a_member_that_is_there_twice_is_refused(tar: Path) -> None:
    first = tar_of({"abc/layer.tar": b"another"})[:1024]
    assert "more than once" in refused(tar, first + tar_of(old_save()))


def test_several_images_in_one_archive_are_refused_with_their_tags(tar: Path) -> None:
    texts = {name: config(LAYER, Cmd=[name]) for name in ("a", "b")}
    entries = [{"Config": name, "RepoTags": [f"{name}:1"], "Layers": ["l"]} for name in texts]
    said = refused(tar, {**texts, "l": LAYER, "manifest.json": json.dumps(entries).encode()})
    assert "2 different images: a:1, b:1" in said


def test_one_image_under_several_tags_is_one_image(tar: Path) -> None:
    entries = [{"Config": "c", "RepoTags": [tag], "Layers": ["l"]} for tag in ("a:1", "b:1")]
    members = {"c": config(LAYER), "l": LAYER, "manifest.json": json.dumps(entries).encode()}
    assert write_and_inspect(tar, members).images[0].tags == ("a:1", "b:1")


def test_a_docker_export_is_named_as_that(tar: Path) -> None:
    said = refused(tar, {"bin/": b"", "etc/passwd": b"root", "usr/bin/x": b"", "package.json": b"{}"})
    assert "root file system (as from docker export" in said


def test_a_layout_inside_a_folder_is_named_as_that(tar: Path) -> None:
    said = refused(tar, {f"image/{name}": data for name, data in old_save().items()})
    assert "inside a folder: 'image/manifest.json'" in said


def test_an_archive_older_than_manifests_is_named_as_that(tar: Path) -> None:
    members = old_save()
    members.pop("manifest.json")
    assert "before 1.10" in refused(tar, members)


def test_any_other_tar_is_shown_by_its_names(tar: Path) -> None:
    assert "only 'readme.txt'" in refused(tar, {"readme.txt": b"hello"})


def test_an_artifact_that_is_no_image_is_refused(tar: Path) -> None:
    helm = blob(b'{"name": "chart"}', "application/vnd.cncf.helm.config.v1+json")
    manifest = json.dumps({"config": helm.descriptor, "layers": []}).encode()
    assert "not an image configuration" in refused(tar, oci_layout(blob(manifest, "x", helm.members)))


def test_an_index_that_holds_itself_deep_is_refused(tar: Path) -> None:
    deep = nested(nested(nested(nested(nested(oci_image())))))
    assert "indexes are nested more than 4 levels deep" in refused(tar, oci_layout(deep))


def test_a_name_that_claims_gigabytes_is_refused_without_reading_it(tar: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1 << 33
    assert "an extended header of 8589934592 bytes" in refused(tar, header.tobuf(tarfile.GNU_FORMAT))


def test_rubbish_between_members_is_told_with_its_place(tar: Path) -> None:
    assert "damaged at byte 1024" in refused(tar, tar_of({"a": b"1"})[:1024] + b"z" * 512)


def test_links_in_a_circle_end(tar: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, target in (("manifest.json", "other"), ("other", "manifest.json")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    assert "neither manifest.json nor index.json" in refused(tar, packed.getvalue())


@given(st.data())
def test_whatever_is_changed_in_an_archive_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(tar_of(oci_layout(oci_image())))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=6)):
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.getbasetemp() / "changed.tar"
    path.write_bytes(whole[:cut])
    outcome = ""
    try:
        outcome = inspect(FileSpan(path, 0, cut), "x").images[0].id
    except ImageError as error:
        outcome = error.remedy
    assert outcome
