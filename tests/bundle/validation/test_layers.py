"""The files of an image in an archive."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.bundle.images import compressed
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.source import ArchivedImage
from localrun.bundle.validation import layers
from localrun.bundle.validation.layers import LayeredFiles, UnreadableLayer
from tests.support.bundles import ELF, layer_of
from tests.support.images import member, tar_of
from tests.support.work import count_calls

LINKS = {"symlink": tarfile.SYMTYPE, "link": tarfile.LNKTYPE}


def linked(
    links: Mapping[str, str], kind: str = "symlink", files: Mapping[str, bytes] | None = None
) -> bytes:
    """A layer with links."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in (files or {}).items():
            archive.addfile(member(name, data, mode=0o755), io.BytesIO(data))
        for name, target in links.items():
            info = member(name, kind=LINKS[kind])
            info.linkname = target
            archive.addfile(info)
    return packed.getvalue()


def read(folder: Path, *given_layers: bytes, whole: bytes | None = None) -> LayeredFiles:
    """Combine layers; in the archive the last one comes first."""
    names = [f"{number}/layer.tar" for number in range(len(given_layers))]
    members = dict(reversed(list(zip(names, given_layers, strict=True))))
    data = tar_of(members) if whole is None else whole
    path = folder / "image.tar"
    path.write_bytes(data)
    image = ArchivedImage("sha256:0", "linux", "amd64", "", "c.json", tuple(names), len(data))
    return layers.read_layers(FileSpan(path, 0, len(data)), image)


def path_of(files: LayeredFiles, path: str) -> str | None:
    found = files.find(path)
    return found.path if found else None


def test_a_file_is_found_with_its_mode_and_its_first_bytes(tmp_path: Path) -> None:
    found = read(tmp_path, layer_of({"bin/run": ELF})).find("/bin/run")
    assert found is not None
    assert (found.kind, found.mode, found.size, found.head) == ("file", 0o755, len(ELF), ELF[:256])


def test_a_folder_needs_no_entry_of_its_own(tmp_path: Path) -> None:
    files = read(tmp_path, layer_of({"a/b/c": b"x"}))
    assert [files.find(path).kind for path in ("/a", "/a/b", "/")] == ["folder"] * 3  # type: ignore[union-attr]
    assert files.has_entries("/a/b")
    assert not files.has_entries("/a/b/c")
    assert files.find("/a/x") is None


@pytest.mark.parametrize("compress", [False, True])
def test_upper_layers_hide_lower_ones(tmp_path: Path, compress: bool) -> None:
    lower = layer_of({"a": b"old", "b": b"1", "c/d": b"1", "e/f": b"1", "e/g/h": b"1"})
    upper = layer_of({"a": b"newer", ".wh.b": b"", "e/.wh..wh..opq": b"", "e/i": b"1"})
    pack = gzip.compress if compress else bytes
    files = read(tmp_path, pack(lower), pack(upper))
    found = {
        path: path_of(files, path) is not None for path in ("/a", "/b", "/c/d", "/e/f", "/e/g/h", "/e/i")
    }
    assert found == {"/a": True, "/b": False, "/c/d": True, "/e/f": False, "/e/g/h": False, "/e/i": True}
    assert files.find("/a").size == 5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("links", "path", "end"),
    [
        ({"bin": "usr/bin"}, "/bin/run", "/usr/bin/run"),
        ({"bin": "/usr/bin"}, "/bin/run", "/usr/bin/run"),
        ({"a/b": "../usr/bin/run"}, "/a/b", "/usr/bin/run"),
        ({"a": "b", "b": "c", "c": "usr/bin"}, "/a/run", "/usr/bin/run"),
        ({"a": "../../../usr"}, "/a/bin/run", "/usr/bin/run"),
        ({"a": "b", "b": "a"}, "/a", None),
        ({"a": "a"}, "/a/x", None),
        ({"a": "none"}, "/a", None),
    ],
)
def test_links_are_followed_inside_the_image(
    tmp_path: Path, links: dict[str, str], path: str, end: str | None
) -> None:
    files = read(tmp_path, linked(links, files={"usr/bin/run": ELF}))
    assert path_of(files, path) == end


def test_a_hard_link_is_the_file_itself(tmp_path: Path) -> None:
    found = read(tmp_path, linked({"b": "a"}, "link", {"a": ELF})).find("/b")
    assert found is not None
    assert found.head == ELF[:256]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd"),
        (b"junk" * 300, "not a tar"),
        (gzip.compress(layer_of({"a": b"x" * 5000}), mtime=0)[:-40], "ends too early"),
    ],
)
def test_a_layer_that_cannot_be_read_is_said_to_be(tmp_path: Path, layer: bytes, words: str) -> None:
    with pytest.raises(UnreadableLayer, match=words):
        read(tmp_path, layer)


def test_an_image_with_too_many_files_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "ENTRY_LIMIT", 3)
    with pytest.raises(UnreadableLayer, match="more than 3 files"):
        read(tmp_path, layer_of({"a": b"", "b": b""}), layer_of({"c": b"", "d": b""}))


@given(st.binary(max_size=600), st.integers(0, 1500))
def test_whatever_a_layer_holds_only_one_error_comes_out(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int
) -> None:
    data = bytearray(linked({"a": "b", "c/.wh.d": "e"}, files={"b": ELF}))
    data[place : place + len(junk)] = junk
    try:
        files = read(tmp_path_factory.getbasetemp(), bytes(data))
    except UnreadableLayer:
        return
    files.find("/a")
    files.has_entries("/c")


def test_a_layer_that_is_listed_many_times_is_combined_once(tmp_path: Path) -> None:
    data = tar_of({"0/layer.tar": layer_of({f"bin/{number}": b"" for number in range(100)})})
    path = tmp_path / "image.tar"
    path.write_bytes(data)

    def work(times: int) -> int:
        image = ArchivedImage("sha256:0", "linux", "amd64", "", "c", ("0/layer.tar",) * times, len(data))
        return count_calls(lambda: layers.read_layers(FileSpan(path, 0, len(data)), image))

    assert work(1000) < 1.5 * work(1)


def test_whiteouts_of_many_layers_are_applied_to_each_file_once(tmp_path: Path) -> None:
    files = {f"a/{number}": b"" for number in range(200)}

    def work(count: int) -> int:
        upper = [layer_of({f"b/.wh.{number}": b""}) for number in range(count)]
        return count_calls(lambda: read(tmp_path, layer_of(files), *upper))

    few, many = work(10), work(40)
    assert many < 3 * few


@pytest.mark.parametrize("limit", ["FOLDERS_LIMIT", "NAMES_LIMIT"])
def test_paths_beyond_the_limits_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(layers, limit, 10)
    with pytest.raises(UnreadableLayer, match="too long or too deep"):
        read(tmp_path, layer_of({"a/b/c/d/e/f/g": b"", "h/i/j/k/l/m/n": b""}))


def test_layers_that_grow_like_a_zip_bomb_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "RATIO_FLOOR", 1 << 20)
    monkeypatch.setattr(compressed, "RATIO_LIMIT", 10)
    bomb = gzip.compress(layer_of({"zeros": bytes(600_000)}))
    read(tmp_path, bomb)
    with pytest.raises(UnreadableLayer, match="like a zip bomb"):
        read(tmp_path, bomb, gzip.compress(layer_of({"more": bytes(600_000)})))
