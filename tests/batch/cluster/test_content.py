"""Files of clients on a node."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from localrun.batch.cluster.content import ContentStore
from localrun.batch.cluster.orders import SentFile, SentFolder, machine
from localrun.errors import Cause, LocalrunError
from localrun.task.file_state import FileState
from localrun.values.reuse.digests import ContentDigests

DATA = b"a slide" * 1000


def sent(data: bytes = DATA, path: str = "/client/slide.png") -> SentFile:
    return SentFile(path, len(data), hashlib.sha256(data).hexdigest())


def fill(store: ContentStore, file: SentFile, data: bytes = DATA, part: int = 3000) -> None:
    offset = 0
    while (after := store.write(file, offset, data[offset : offset + part])) < file.size:
        offset = after


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "content", ContentDigests(tmp_path / "cache"))


def test_a_file_is_received_in_parts_and_has_the_name_that_it_has_on_the_client(store: ContentStore) -> None:
    assert store.lacks(sent())
    fill(store, sent())
    found = store.locate(sent())
    assert found is not None
    assert (found.name, found.read_bytes()) == ("slide.png", DATA)


def test_a_file_is_stored_once_under_all_of_its_names(store: ContentStore) -> None:
    fill(store, sent())
    first, second = store.locate(sent()), store.locate(sent(path="/elsewhere/other.tif"))
    assert first is not None
    assert second is not None
    assert (second.name, second.stat().st_ino) == ("other.tif", first.stat().st_ino)
    assert store.write(sent(path="/third"), 0, b"") == len(DATA)


def test_an_interrupted_upload_continues_where_it_was(store: ContentStore) -> None:
    assert store.write(sent(), 0, DATA[:3000]) == 3000
    assert store.write(sent(), 0, DATA[:3000]) == 3000  # of a client that does not know
    assert store.write(sent(), 3000, DATA[3000:]) == len(DATA)
    assert not store.lacks(sent())


def test_damaged_content_is_refused_and_leaves_nothing(store: ContentStore) -> None:
    with pytest.raises(LocalrunError, match="does not have the expected content"):
        fill(store, sent(), bytes(len(DATA)))
    assert [path for path in store.path.rglob("*") if path.is_file()] == []
    fill(store, sent())


def test_a_part_that_does_not_fit_on_the_disk_is_refused(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "content", ContentDigests(tmp_path / "cache"), disk_limit=0.0)
    huge = SentFile("/client/huge", 32 * 1024**2, "0" * 64)
    with pytest.raises(LocalrunError) as caught:
        store.write(huge, 0, bytes(32 * 1024**2))
    assert caught.value.cause is Cause.DISK_FULL
    assert [path for path in store.path.rglob("*") if path.is_file()] == []


def test_a_file_that_the_node_sees_under_the_same_path_is_not_sent(
    store: ContentStore, tmp_path: Path
) -> None:
    path = tmp_path / "shared.png"
    path.write_bytes(DATA)
    assert store.locate(sent(path=str(path))) == path
    path.write_bytes(bytes(len(DATA)))
    assert store.lacks(sent(path=str(path)))


def test_the_same_file_of_this_machine_is_not_read(store: ContentStore, tmp_path: Path) -> None:
    path = tmp_path / "here.png"
    path.write_bytes(DATA)
    file = SentFile(str(path), len(DATA), "not computed", machine(), FileState.of(path.stat()))
    assert store.locate(file) == path


def test_a_folder_has_the_files_of_the_client(store: ContentStore) -> None:
    files = {"a/1.png": sent(), "b.png": sent(b"b", "/client/f/b.png")}
    folder = SentFolder("/client/f", files, "f" * 64)
    assert store.locate_folder(folder) is None
    fill(store, files["a/1.png"])
    fill(store, files["b.png"], b"b")
    for _ in range(2):
        found = store.locate_folder(folder)
        assert found is not None
        assert (found / "a" / "1.png").read_bytes() == DATA
        assert sorted(path.name for path in found.rglob("*")) == ["1.png", "a", "b.png"]


def test_files_that_no_row_needs_are_deleted_after_a_while(store: ContentStore) -> None:
    fill(store, sent())
    fill(store, sent(b"new", "/new"), b"new")
    old = store.locate(sent())
    assert old is not None
    os.utime(old.parent, (time.time() - 100, time.time() - 100))
    store.prune(50)
    assert store.lacks(sent())
    assert not store.lacks(sent(b"new", "/new"))
