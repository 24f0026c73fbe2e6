from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from localrun.engines.base import Engine
from localrun.errors import Cause, LocalrunError
from localrun.runner.remote_copy import copy_out, pack


class Shelf:
    """An engine that returns one archive."""

    def __init__(self, archive: bytes = b"", chunk: int = 1000) -> None:
        self._archive, self._chunk = archive, chunk

    def copy_out(self, handle: str, source: str) -> Iterator[bytes]:
        for start in range(0, len(self._archive), self._chunk):
            yield self._archive[start : start + self._chunk]


def archive_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


def fetched(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> list[str]:
    folder.mkdir()
    engine = cast("Engine", Shelf(archive_of(entry("out", tarfile.DIRTYPE), *members)))
    return [str(problem) for problem in copy_out(engine, "c", "/out", folder)]


def test_inputs_are_copied_with_modes_that_any_user_can_read(tmp_path: Path) -> None:
    (tmp_path / "xs").mkdir()
    (tmp_path / "xs" / "0").write_bytes(b"5")
    (tmp_path / "xs" / "0").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(tmp_path, {})))) as archive:
        assert [(m.name, m.mode, m.isdir()) for m in archive] == [("xs", 0o755, True), ("xs/0", 0o644, False)]


def test_a_mounted_file_is_copied_from_its_source(tmp_path: Path) -> None:
    folder, scan = tmp_path / "inputs", tmp_path / "scan.png"
    folder.mkdir()
    (folder / "image").touch()
    scan.write_bytes(b"x" * 3_000_001)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(folder, {"image": scan})))) as archive:
        member = archive.extractfile("image")
        assert member is not None
        assert member.read() == scan.read_bytes()


def test_a_shrinking_file_does_not_shift_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 2_000_000)
    (tmp_path / "b").write_bytes(b"b")
    chunks = pack(tmp_path, {})
    begun = [next(chunks), next(chunks)]
    os.truncate(tmp_path / "a", 1_200_000)
    with tarfile.open(fileobj=io.BytesIO(b"".join([*begun, *chunks]))) as archive:
        assert [(m.name, m.size) for m in archive] == [("a", 2_000_000), ("b", 1)]


def test_outputs_are_copied_as_files_of_this_user(tmp_path: Path) -> None:
    folder = tmp_path / "outputs"
    problems = fetched(
        folder,
        entry("out/xs", tarfile.DIRTYPE),
        entry("out/xs/0", content=b"5" * 5000),
        entry("out/deep/er/file", content=b"1"),
        entry("out/same", tarfile.LNKTYPE, "out/xs/0"),
        entry("out/alias", tarfile.SYMTYPE, "xs/0"),
    )
    assert problems == []
    assert (folder / "alias").read_bytes() == (folder / "same").read_bytes() == b"5" * 5000
    assert (folder / "deep/er/file").stat().st_uid == os.geteuid()


@pytest.mark.parametrize("target", ["/out/run/best", "../out/run/best", "run/best", "/out/x/../run/best"])
def test_a_link_that_stays_in_the_containers_folder_is_kept(tmp_path: Path, target: str) -> None:
    best = entry("out/run/best", content=b"best")
    assert fetched(tmp_path / "outputs", best, entry("out/f", tarfile.SYMTYPE, target)) == []
    assert str((tmp_path / "outputs/f").readlink()) == target


def test_the_nameless_folder_of_podman_is_fetched(tmp_path: Path) -> None:
    archive = archive_of(
        entry("", tarfile.DIRTYPE),
        entry("/sub", tarfile.DIRTYPE),
        entry("/sub/f", content=b"f"),
        entry("/hard", tarfile.LNKTYPE, "/sub/f"),
        entry("/soft", tarfile.SYMTYPE, "sub/f"),
        entry("/../evil", content=b"x"),
    )
    (tmp_path / "outputs").mkdir()
    (problem,) = copy_out(cast("Engine", Shelf(archive)), "c", "/out", tmp_path / "outputs")
    assert "leaves the folder" in problem.message
    found = {path.name: path.read_bytes() for path in (tmp_path / "outputs").rglob("*") if path.is_file()}
    assert found == {"f": b"f", "hard": b"f", "soft": b"f"}


def test_zeros_become_holes(tmp_path: Path) -> None:
    content = bytes(4 * 1024**2) + b"end" + bytes(1024**2)
    assert fetched(tmp_path / "outputs", entry("out/f", content=content)) == []
    assert (tmp_path / "outputs/f").read_bytes() == content
    assert (tmp_path / "outputs/f").stat().st_blocks * 512 < 3 * 1024**2


def test_a_file_that_does_not_fit_on_the_disk_is_not_fetched(tmp_path: Path) -> None:
    info = tarfile.TarInfo("out/f")
    info.size = 1024**5  # the archive ends long before: only the size may be looked at
    archive = archive_of(entry("out", tarfile.DIRTYPE))[:512] + info.tobuf(tarfile.PAX_FORMAT) + bytes(4096)
    (tmp_path / "outputs").mkdir()
    with pytest.raises(LocalrunError, match="no space left") as caught:
        copy_out(cast("Engine", Shelf(archive)), "c", "/out", tmp_path / "outputs")
    assert caught.value.cause is Cause.DISK_FULL
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (entry("out/../../evil", content=b"x"), "leaves the folder"),
        (entry("/etc/evil", content=b"x"), "leaves the folder"),
        (entry("out/link", tarfile.SYMTYPE, "/etc/passwd"), "link to '/etc/passwd', which leaves"),
        (entry("out/link", tarfile.SYMTYPE, "../../x"), "which leaves the folder"),
        (entry("out/hard", tarfile.LNKTYPE, "out/../../x"), "which is not in the folder"),
        (entry("out/pipe", tarfile.FIFOTYPE), "device, a pipe or a socket"),
        (entry("out/disk", tarfile.BLKTYPE), "device, a pipe or a socket"),
    ],
)
def test_dangerous_entries_are_rejected_and_reported(
    tmp_path: Path, member: tuple[tarfile.TarInfo, bytes], words: str
) -> None:
    (problem,) = fetched(tmp_path / "outputs", member)
    assert words in problem
    assert list((tmp_path / "outputs").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    fetched(
        tmp_path / "outputs",
        entry("out/door", tarfile.SYMTYPE, str(outside)),
        entry("out/door/file", content=b"x"),
    )
    assert list(outside.iterdir()) == []
