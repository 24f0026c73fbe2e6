"""Hostile lists of images cost bounded work."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.images.archive import inspect
from localrun.bundle.images.archive_index import ArchiveIndex, read_index
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.manifest import ENTRY_LIMIT, LAYER_LIMIT, PROBLEM_LIMIT, list_images
from localrun.errors import ImageError
from tests.support.archives import INDEX, Blob, blob, manifest_json, oci_image, oci_layout, old_save, sha
from tests.support.bombs import gzip_bomb
from tests.support.images import tar_of
from tests.support.work import count_calls


def index_of(*entries: Blob) -> Blob:
    members = {name: data for entry in entries for name, data in entry.members.items()}
    return blob(json.dumps({"manifests": [entry.descriptor for entry in entries]}).encode(), INDEX, members)


def span_of(path: Path, members: dict[str, bytes]) -> FileSpan:
    data = tar_of(members)
    path.write_bytes(data)
    return FileSpan(path, 0, len(data))


def contents_of(path: Path, members: dict[str, bytes]) -> ArchiveIndex:
    return read_index(span_of(path, members))


def problems_of(path: Path, members: dict[str, bytes]) -> list[str]:
    return [str(problem) for problem in list_images(contents_of(path, members)).problems]


def test_an_index_that_is_named_many_times_at_each_level_is_read_once(tmp_path: Path) -> None:
    def work(repeats: int) -> int:
        inner = index_of(oci_image())
        for _ in range(3):
            inner = index_of(*[inner] * repeats)
        contents = contents_of(tmp_path / "image.tar", oci_layout(inner))
        assert len(list_images(contents).images) == 1
        return count_calls(lambda: list_images(contents))

    assert work(64) < 6 * work(16)  # 64 times as much with every path


def test_an_archive_of_indexes_that_lead_nowhere_is_refused_with_little_work(tmp_path: Path) -> None:
    inner = index_of()
    for _ in range(5):
        inner = index_of(*[inner] * 256)
    span = span_of(tmp_path / "image.tar", oci_layout(inner))

    def read() -> None:
        with pytest.raises(ImageError, match="indexes are nested more than 4 levels deep"):
            inspect(span, "image.tar")

    assert count_calls(read) < 100_000


def test_each_name_of_an_image_is_kept_although_its_manifest_is_read_once(tmp_path: Path) -> None:
    image = oci_image()
    named = [
        image.renamed(annotations={"org.opencontainers.image.ref.name": name})
        for name in ("one", "two", "one")
    ]
    found = inspect(span_of(tmp_path / "image.tar", oci_layout(index_of(*named))), "image.tar")
    assert found.images[0].tags == ("one", "two")


def test_a_configuration_that_is_named_many_times_is_parsed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = old_save()
    entry = json.loads(members["manifest.json"])[0]
    members["manifest.json"] = json.dumps([entry] * 200).encode()
    contents = contents_of(tmp_path / "image.tar", members)
    loaded = []
    load = ArchiveIndex.load_json

    def count(self: ArchiveIndex, name: str) -> Any:
        loaded.append(name)
        return load(self, name)

    monkeypatch.setattr(ArchiveIndex, "load_json", count)
    assert len(list_images(contents).images) == 1
    assert len(loaded) == 2


def test_entries_beyond_the_limit_are_reported(tmp_path: Path) -> None:
    layout = oci_layout(index_of(*[oci_image()] * (ENTRY_LIMIT + 1)))
    assert any(
        f"only the first {ENTRY_LIMIT} are read" in one for one in problems_of(tmp_path / "a.tar", layout)
    )


def test_problems_of_a_hostile_list_are_bounded(tmp_path: Path) -> None:
    entries = [{"Config": f"c{n}", "Layers": [f"{n}-{m}" for m in range(100)]} for n in range(250)]
    contents = contents_of(tmp_path / "image.tar", {"manifest.json": json.dumps(entries).encode()})
    assert len(list_images(contents).problems) == PROBLEM_LIMIT
    with pytest.raises(ImageError, match="more like this") as caught:
        inspect(FileSpan(tmp_path / "image.tar", 0, (tmp_path / "image.tar").stat().st_size), "image.tar")
    assert len(str(caught.value)) < 200_000


def test_more_layers_than_the_limit_are_refused(tmp_path: Path) -> None:
    document = manifest_json("c.json", ["a"] * (LAYER_LIMIT + 1), None)
    found = problems_of(tmp_path / "image.tar", {"manifest.json": document})
    assert found == [f"manifest.json[0]: it lists {LAYER_LIMIT + 1} layers; the limit is {LAYER_LIMIT}"]


def test_nested_values_in_place_of_strings_are_not_formatted(tmp_path: Path) -> None:
    nested = "[" * 900 + "]" * 900
    text = (
        f'{{"manifests": [{{"digest": {nested}, "platform": {{"os": {nested}}}, "annotations": {nested}}}]}}'
    )
    assert problems_of(tmp_path / "image.tar", {"index.json": text.encode()})
    manifest = f'{{"config": {nested}, "layers": [{{"digest": {nested}, "mediaType": {nested}}}]}}'.encode()
    index = {"manifests": [{"digest": f"sha256:{sha(manifest)}"}]}
    members = {"index.json": json.dumps(index).encode(), f"blobs/sha256/{sha(manifest)}": manifest}
    assert "not an image manifest" in problems_of(tmp_path / "image.tar", members)[0]


def test_many_small_gzip_files_in_a_row_are_read_in_linear_time(tmp_path: Path) -> None:
    data = tar_of({"manifest.json": b"[]", "filler": bytes(20_000)})

    def work(size: int) -> int:
        parts = [gzip.compress(data[at : at + size], mtime=0) for at in range(0, len(data), size)]
        path = tmp_path / "image.tar"
        path.write_bytes(b"".join(parts))
        span = FileSpan(path, 0, path.stat().st_size).with_detected_gzip()
        assert "manifest.json" in read_index(span).members
        return count_calls(lambda: read_index(span))

    assert work(8) < 6 * work(32)


def test_gzip_files_in_a_row_are_read_across_the_ends_of_pieces(tmp_path: Path) -> None:
    path = tmp_path / "image.tar.gz"
    path.write_bytes(gzip_bomb(64 << 20))  # each file is a bit shorter than a piece
    assert list(read_index(FileSpan(path, 0, path.stat().st_size, ("gzip",))).members) == ["zeros"]
