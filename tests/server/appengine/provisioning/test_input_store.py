"""Provisioned inputs are files of the task's input folder, as App Engine lays them out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun import fs
from localrun.errors import LocalrunError
from localrun.server.appengine.provisioning.input_store import InputStore
from localrun.task.workspace import Workspace
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, slide

INPUTS: dict[str, Any] = {
    "a": "integer",
    "Image": "image",
    "items": {"id": "array", "subtype": {"id": "array", "subtype": "string"}},
    "extra": parameter("integer", optional=True, default=3),
}


@pytest.fixture
def store(tmp_path: Path) -> InputStore:
    (tmp_path / "task" / "inputs").mkdir(parents=True)
    return InputStore(Workspace(tmp_path / "task"), make(INPUTS))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "task"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def upload(folder: Path, data: bytes, name: str = "upload") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_value_replaces_the_one_before(store: InputStore, folder: Path) -> None:
    store.put("a", b"1")
    store.put("a", b"22")
    assert files(folder) == {"inputs/a": b"22"}
    assert (folder / "inputs/a").stat().st_mode & 0o777 == 0o644


def test_an_array_is_a_folder_with_its_size(store: InputStore, folder: Path) -> None:
    store.put("items", {0: {0: b"x"}, 3: {}})
    assert files(folder) == {
        "inputs/items/array.yml": b"size: 2",
        "inputs/items/0/array.yml": b"size: 1",
        "inputs/items/0/0": b"x",
        "inputs/items/3/array.yml": b"size: 0",
    }
    for path in (folder / "inputs").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_a_whole_array_replaces_all_items(store: InputStore, folder: Path) -> None:
    store.put("items", {0: {}, 1: {}})
    store.put("items", {})
    assert files(folder) == {"inputs/items/array.yml": b"size: 0"}


def test_single_items_are_counted_once(store: InputStore, folder: Path) -> None:
    store.put_item("items", ["0", "1"], b"x")
    assert files(folder / "inputs/items") == {"array.yml": b"size: 1", "0/array.yml": b"size: 1", "0/1": b"x"}
    store.put_item("items", ["0", "1"], b"y")
    store.put_item("items", ["0", "0"], b"z")
    found = {"array.yml": b"size: 1", "0/array.yml": b"size: 2", "0/1": b"y", "0/0": b"z"}
    assert files(folder / "inputs/items") == found
    store.put_item("items", ["1"], {0: b"w"})
    found |= {"array.yml": b"size: 2", "1/0": b"w", "1/array.yml": b"size: 1"}
    assert files(folder / "inputs/items") == found


def test_a_file_is_moved_with_its_region(store: InputStore, folder: Path, tmp_path: Path) -> None:
    store.put_file("Image", upload(tmp_path, b"one"), upload(tmp_path, b"{}", "region"), unpack=False)
    assert files(folder) == {"inputs/Image": b"one", "inputs/Image.geojson": b"{}"}
    store.put_file("Image", upload(tmp_path, b"two"), None, unpack=False)
    assert files(folder) == {"inputs/Image": b"two"}
    assert not (tmp_path / "upload").exists()


def test_a_slide_is_unpacked_and_replaced(store: InputStore, folder: Path, tmp_path: Path) -> None:
    packed = slide({"a.dcm": dicom(), "x/b.dcm": dicom(9, 8)})
    store.put_file("Image", upload(tmp_path, packed), None, unpack=True)
    assert files(folder) == {"inputs/Image/a.dcm": dicom(), "inputs/Image/x/b.dcm": dicom(9, 8)}
    store.put_file("Image", upload(tmp_path, slide({"c.dcm": dicom()})), None, unpack=True)
    assert files(folder) == {"inputs/Image/c.dcm": dicom()}
    store.put_file("Image", upload(tmp_path, b"one"), None, unpack=False)
    assert files(folder) == {"inputs/Image": b"one"}
    assert list((folder / "uploads").iterdir()) == []


def test_a_death_between_two_steps_cannot_lose_the_former_folder(
    store: InputStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("items", {0: {}})
    store.put_file("Image", upload(tmp_path, slide({"a.dcm": dicom()})), None, unpack=True)
    with monkeypatch.context() as patched:  # one call replaces a folder, so no other one can be the last
        patched.delattr(Path, "rename")
        store.put("items", {})
        store.put_file("Image", upload(tmp_path, b"one"), None, unpack=False)
    assert files(folder) == {"inputs/items/array.yml": b"size: 0", "inputs/Image": b"one"}
    assert list((folder / "uploads").iterdir()) == []


def test_a_file_system_that_cannot_exchange_names_is_served_too(
    store: InputStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "exchange", lambda *_: False)
    store.put("items", {0: {}})
    store.put("items", {})
    assert files(folder) == {"inputs/items/array.yml": b"size: 0"}
    assert list((folder / "uploads").iterdir()) == []


def test_a_file_is_an_item(store: InputStore, folder: Path, tmp_path: Path) -> None:
    store.put_item_file("items", ["0"], upload(tmp_path, b"x"), unpack=False)
    store.put_item_file("items", ["1"], upload(tmp_path, slide({"a.dcm": dicom()})), unpack=True)
    assert files(folder / "inputs/items") == {"array.yml": b"size: 2", "0": b"x", "1/a.dcm": dicom()}


def test_a_file_of_this_machine_is_copied(store: InputStore, folder: Path, tmp_path: Path) -> None:
    store.put("Image", upload(tmp_path, b"data"))
    assert files(folder) == {"inputs/Image": b"data"}
    assert (tmp_path / "upload").exists()


def test_required_inputs_are_missing_until_they_have_a_value(store: InputStore) -> None:
    assert store.missing() == ["a", "Image", "items"]
    store.put("a", b"null")
    store.put_item("items", ["7"], {})
    assert store.missing() == ["Image"]
    assert store.provisioned() == ["a", "items"]


def test_a_failed_write_keeps_the_old_value(store: InputStore, folder: Path, tmp_path: Path) -> None:
    store.put("Image", upload(tmp_path, b"data"))
    with pytest.raises(LocalrunError):
        store.put("Image", tmp_path / "lost")
    assert files(folder) == {"inputs/Image": b"data"}
