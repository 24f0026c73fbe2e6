from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun import fs
from localrun.errors import BundleError, InputsError
from localrun.server.bundle_store import BundleExists, BundleStore, BundleTooLarge
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive


def library(folder: Path, *, limit: int = 10**8) -> BundleStore:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    return BundleStore([root], folder / "uploads", cache=folder / "cache", limit=limit)


def folder_bundle(place: Path) -> Path:
    place.mkdir(parents=True)
    (place / "descriptor.yml").write_text(DESCRIPTOR)
    return place


def zip_bundle(version: str = "1.0.0", *, note: str = "") -> bytes:
    image = image_archive(busybox_layer({}), "x:1", Cmd=["sh"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("descriptor.yml", DESCRIPTOR.replace("version: 1.0.0", f"version: {version}") + note)
        archive.writestr("com.example.add-1.0.0.tar", image)
    return stream.getvalue()


def left_over(folder: Path) -> list[str]:
    return [str(path) for path in (folder / "uploads").rglob("*") if path.is_file()]


def test_a_bundle_is_found_by_its_path_below_a_root(tmp_path: Path) -> None:
    bundle = folder_bundle(tmp_path / "root" / "deep" / "add")
    assert library(tmp_path).find_bundle("deep/add") == bundle.resolve()
    assert library(tmp_path).find_bundle(str(bundle)) == bundle.resolve()


def test_a_bundle_is_found_by_namespace_and_version(tmp_path: Path) -> None:
    bundle = folder_bundle(tmp_path / "root" / "add")
    assert library(tmp_path).find_bundle("com.example.add:1.0.0") == bundle


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a\0b", "", "x" * 5000, "com.example.add:9"])
def test_what_is_outside_the_roots_or_nowhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").mkdir()
    found = library(tmp_path)
    if name:
        with pytest.raises(BundleError, match="unknown bundle"):
            found.find_bundle(name)
        with pytest.raises(InputsError):
            found.find_file(name)
    else:
        assert found.find_bundle(name) == (tmp_path / "root").resolve()


def test_a_url_is_refused_without_its_secrets(tmp_path: Path) -> None:
    with pytest.raises(InputsError) as caught:
        library(tmp_path).find_file("https://user:secret@example.org/x.png?token=secret")
    (problem,) = caught.value.problems
    assert "is a URL, which the server does not read; download the file, and upload it" in str(problem)
    assert "secret" not in str(problem)


def test_a_link_that_leads_out_of_the_roots_is_refused(tmp_path: Path) -> None:
    outside = folder_bundle(tmp_path / "outside")
    found = library(tmp_path)
    (tmp_path / "root" / "link").symlink_to(outside)
    (tmp_path / "root" / "circle").symlink_to("circle")
    for name in ("link", "link/descriptor.yml", "circle"):
        with pytest.raises(BundleError, match="unknown bundle"):
            found.find_bundle(name)
    with pytest.raises(BundleError, match="unknown bundle"):
        found.find_bundle("com.example.add:1.0.0")


def test_an_uploaded_bundle_is_found_by_its_name(tmp_path: Path) -> None:
    found = library(tmp_path)
    entry = found.add([zip_bundle()])
    assert entry.name == "com.example.add:1.0.0"
    assert found.find_bundle(entry.name) == entry.path
    assert [each.name for each in found.entries()] == [entry.name]
    assert left_over(tmp_path) == [str(entry.path)]


def test_the_same_bundle_may_be_sent_again(tmp_path: Path) -> None:
    found, content = library(tmp_path), zip_bundle()
    assert found.add([content]) == found.add([content])


def test_another_bundle_of_the_same_name_is_refused_unless_it_may_replace_it(tmp_path: Path) -> None:
    found = library(tmp_path)
    entry = found.add([zip_bundle()])
    before = entry.path.read_bytes()
    with pytest.raises(BundleExists, match="a different bundle"):
        found.add([zip_bundle(note="# changed\n")])
    assert entry.path.read_bytes() == before
    found.add([zip_bundle(note="# changed\n")], replace=True)
    assert entry.path.read_bytes() != before
    assert left_over(tmp_path) == [str(entry.path)]


def test_what_is_no_bundle_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"^bundle\.zip is not a zip"):
        library(tmp_path).add([b"hello"])
    assert left_over(tmp_path) == []


def test_an_upload_beyond_the_limit_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(1000)

    with pytest.raises(BundleTooLarge, match="larger than"):
        library(tmp_path, limit=5000).add(endless())
    assert len(taken) == 6
    assert left_over(tmp_path) == []


def test_a_sender_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"PK"
        raise ConnectionResetError

    with pytest.raises(Exception, match="cannot store the bundle"):
        library(tmp_path).add(broken())
    assert left_over(tmp_path) == []


def test_what_a_process_left_that_died_is_swept_and_what_is_being_sent_is_not(tmp_path: Path) -> None:
    stray = tmp_path / "uploads" / f".bundle.{os.getpid()}-ab12.localrun-tmp"  # a container's pids repeat
    stray.mkdir(parents=True)
    (stray / "bundle.zip").write_text("x")
    found = library(tmp_path)

    def meanwhile() -> Iterator[bytes]:
        yield zip_bundle()
        (sent,) = (tmp_path / "uploads").glob(".bundle.*")
        assert sent.stat().st_mode & 0o777 == 0o700
        os.utime(sent, (1, 1))
        dead = sent.rename(sent.with_name(sent.name.replace(f".{os.getpid()}-", f".{2**22 + 1}-")))
        assert not fs.is_abandoned(dead)  # it is locked: its process may be in another container
        found.add([zip_bundle("2.0.0")])
        dead.rename(sent)

    entry = found.add(meanwhile())
    assert entry.path.exists()
    assert not stray.exists()


def test_hidden_folders_and_broken_bundles_are_passed_over(tmp_path: Path) -> None:
    folder_bundle(tmp_path / "root" / ".hidden")
    (tmp_path / "root" / "broken.zip").write_text("no zip")
    bad = folder_bundle(tmp_path / "root" / "bad")
    (bad / "descriptor.yml").write_text("{")
    good = folder_bundle(tmp_path / "root" / "good")
    assert [entry.path for entry in library(tmp_path).entries()] == [good]
