"""Checks of a bundle like App Engine's upload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.validation.validator import Severity, ValidationReport, validate
from tests.bundle.validation.test_validator import no_engine, told
from tests.support.archives import (
    LAYER,
    Blob,
    attestation,
    config,
    index_of,
    manifest_json,
    nested,
    oci_image,
    sha,
)
from tests.support.bundles import DESCRIPTOR, NAME, bundle, image, zip_of
from tests.support.images import tar_of

NAMED = {"org.opencontainers.image.ref.name": "1.0.0"}


def look(path: Path) -> ValidationReport:
    return validate(path, cache=path.parent / "cache", engine=no_engine)


def refusals(path: Path) -> str:
    return told(look(path), Severity.REFUSED)


def docker_tar(tags: Any = ("com/example/add:1.0.0",), **more: bytes) -> dict[str, bytes]:
    text = config(LAYER, Cmd=["/hello"])
    name = f"{sha(text)}.json"
    return {
        "manifest.json": manifest_json(name, ["l/layer.tar"], tags),
        name: text,
        "l/layer.tar": LAYER,
        **more,
    }


def layout(*blobs: Blob, first: str = "index.json", **more: bytes) -> bytes:
    """An OCI layout; `first` comes first in the archive."""
    members = {name: data for item in blobs for name, data in item.members.items()}
    return tar_of({"index.json": index_of(*blobs), **members, **more})


def test_a_bundle_of_the_documented_form_is_not_complained_of(tmp_path: Path) -> None:
    assert look(bundle(tmp_path)).findings == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("com.Example-1.0.0.tar", "names the image 'com/Example', which no registry takes"),
        (".foo-1.0.0.tar", "names the image '/foo'"),
        ("com._x-1.0.0.tar", "names the image 'com/_x'"),
        ("com.x-1.0.0+b.tar", "tags the image '1.0.0+b'"),
        (f"com.x-{'1' * 129}.tar", "which no registry takes"),
    ],
)
def test_a_name_that_no_registry_takes_is_refused(tmp_path: Path, name: str, words: str) -> None:
    assert words in refusals(bundle(tmp_path, name=name))


def test_a_name_that_does_not_fit_the_descriptor_is_a_warning(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, name="com.my-task-1.0.0.tar"))
    said = told(report, Severity.WARNING)
    assert (
        "names the image com/my:task-1.0.0, which does not fit the descriptor (com/example/add:1.0.0)" in said
    )
    assert f"name the archive {NAME}" in said


def test_an_image_before_the_descriptor_is_a_warning(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "b.zip", {NAME: image(), "descriptor.yml": DESCRIPTOR.encode()})
    report = look(path)
    assert "the image comes before the descriptor" in told(report, Severity.WARNING)
    assert report.accepted


@pytest.mark.parametrize("name", ["__MACOSX/._x-1.tar", "._x-1.tar"])
def test_a_file_of_the_system_that_ends_in_tar_is_refused(tmp_path: Path, name: str) -> None:
    members = {"descriptor.yml": DESCRIPTOR.encode(), NAME: image(), name: b"junk"}
    assert "takes every name that ends in .tar for an image" in refusals(zip_of(tmp_path / "b.zip", members))


def test_an_image_without_a_name_is_refused(tmp_path: Path) -> None:
    assert "has no name (RepoTags)" in refusals(bundle(tmp_path, tar_of(docker_tar(tags=None))))


def test_of_two_documents_the_first_in_the_archive_counts(tmp_path: Path) -> None:
    one = oci_image(packed=False)
    described = json.loads(one.members[f"blobs/sha256/{one.descriptor['digest'][7:]}"])
    places = [f"blobs/sha256/{part['digest'][7:]}" for part in (described["config"], *described["layers"])]
    document = {"manifest.json": manifest_json(places[0], places[1:], ["com/example/add:1.0.0"])}
    index = {"index.json": index_of(one)}  # it has no name
    docker_first = tar_of({**document, **one.members, **index})
    oci_first = tar_of({**index, **one.members, **document})
    assert refusals(bundle(tmp_path, docker_first)) == ""
    assert "reads index.json of the archive, and its first image has no name" in refusals(
        bundle(tmp_path, oci_first)
    )


def test_a_layout_whose_image_has_a_name_is_accepted(tmp_path: Path) -> None:
    assert refusals(bundle(tmp_path, layout(oci_image().renamed(annotations=NAMED)))) == ""


def test_attestations_beside_the_image_in_a_list_are_refused(tmp_path: Path) -> None:
    both = nested(oci_image(), attestation()).renamed(annotations=NAMED)
    assert "its first entry is a list of images" in refusals(bundle(tmp_path, layout(both)))


def test_the_remedy_is_the_command_that_writes_it_right(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, tar_of(docker_tar(tags=None))))
    assert (
        report.with_severity(Severity.REFUSED)[0].problem.remedy == "write the bundle with `localrun build`"
    )
    assert report.with_severity(Severity.REFUSED)[0].code == "APPE-internal-bundle-validation-error"
