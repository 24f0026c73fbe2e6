"""The digest of a folder, and the files that `.dockerignore` excludes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.images import build_context, file_cache
from localrun.bundle.images.build_context import context_digest
from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import BuildSecret
from localrun.engines.context.files import BuildContext, open_file
from localrun.errors import Cause, ImageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "task"
    (made / "src").mkdir(parents=True)
    (made / "Dockerfile").write_text("FROM scratch\n")
    (made / "src" / "a.py").write_text("print(1)\n")
    (made / "link").symlink_to("src/a.py")
    return made


def of(folder: Path, **more: str) -> str:
    return context_digest(ImageFolder(folder, build_args=more), folder.parent / "cache")


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "src/a.py").write_text("print(2)\n"),
    "mode": lambda folder: (folder / "src/a.py").chmod(0o755),
    "name": lambda folder: (folder / "src/a.py").rename(folder / "src/b.py"),
    "new file": lambda folder: (folder / "new").write_text(""),
    "new folder": lambda folder: (folder / "new").mkdir(),
    "removed": lambda folder: (folder / "link").unlink(),
    "link target": lambda folder: relink(folder / "link", "elsewhere"),
    "Dockerfile": lambda folder: (folder / "Dockerfile").write_text("FROM other\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_a_build_sees_changes_the_digest(folder: Path, change: str) -> None:
    before = of(folder)
    CHANGES[change](folder)
    assert of(folder) != before


def read_by(function: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files of a context that a function reads."""
    names: list[str] = []

    def noted(path: Path) -> object:
        names.append(path.name)
        return open_file(path)

    with monkeypatch.context() as patched:
        patched.setattr(build_context, "open_file", noted)
        function()
    return names


def test_only_changed_files_are_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", -(10**9))
    assert sorted(read_by(lambda: of(folder), monkeypatch)) == ["Dockerfile", "a.py"]
    assert read_by(lambda: of(folder), monkeypatch) == []
    (folder / "src/a.py").write_text("print(2)\n")
    (folder / "new").write_text("")
    found: list[str] = []
    assert sorted(read_by(lambda: found.append(of(folder)), monkeypatch)) == ["a.py", "new"]
    assert found == [context_digest(ImageFolder(folder), folder.parent / "another cache")]


def test_a_file_that_was_just_written_is_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", 10**15)
    of(folder)
    assert sorted(read_by(lambda: of(folder), monkeypatch)) == ["Dockerfile", "a.py"]


@pytest.mark.parametrize("text", ['{"files": {"Dockerfile": 3}}', '{"files": {"Dockerfile": [1]}}', "["])
def test_a_damaged_entry_of_the_cache_only_costs_time(folder: Path, text: str) -> None:
    expected = of(folder)
    for path in (folder.parent / "cache").glob("f*/*.json"):
        path.write_text(text.replace("{", f'{{"format": {file_cache.FORMAT}, ', 1))
    assert of(folder) == expected


def test_the_progress_of_a_large_context_is_reported_once(folder: Path) -> None:
    said: list[tuple[str, int, int | None]] = []

    def digest() -> str:
        source = ImageFolder(folder)
        return context_digest(source, folder.parent / "cache", progress=lambda *step: said.append(step))

    digest()
    assert said == []  # too small to wait for
    with (folder / "weights").open("wb") as file:
        file.truncate(20 << 20)
    os.utime(folder / "weights", (1, 1))
    first = digest()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    assert {(what, total) for what, _, total in said} == {("reading the build context", size)}
    assert said[-1][1] == size
    assert len(said) >= 20
    assert digest() == first


def test_what_a_build_does_not_see_leaves_the_digest(folder: Path) -> None:
    before = of(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    (folder / ".localrun").mkdir()
    os.utime(folder / "Dockerfile", (1, 1))
    assert of(folder) == before


def test_a_folder_that_wants_its_git_in_the_build_says_so(folder: Path) -> None:
    (folder / ".dockerignore").write_text("!.git\n")
    (folder / ".git").mkdir()
    before = of(folder)
    (folder / ".git" / "HEAD").write_text("x")
    assert of(folder) != before


def test_build_arguments_are_part_of_the_digest(folder: Path) -> None:
    assert len({of(folder), of(folder, BASE="a"), of(folder, BASE="b")}) == 3


def test_ignored_files_do_not_count_but_the_dockerfile_always_does(folder: Path) -> None:
    (folder / ".dockerignore").write_text("*\n!src\n")
    before = of(folder)
    (folder / "out").write_text("result")
    assert of(folder) == before
    (folder / "src/a.py").write_text("print(3)\n")
    changed = of(folder)
    assert changed != before
    (folder / "Dockerfile").write_text("FROM other\n")
    assert of(folder) != changed


def test_an_unchanged_folder_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "TIMESTAMP_RESOLUTION", 0)
    before = of(folder)
    monkeypatch.setattr(build_context._Reader, "_content", lambda *_: pytest.fail("a file was read"))
    assert of(folder) == before


def test_pipes_are_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert of(folder)


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("1")
    (folder / "out").symlink_to(outside)
    before = of(folder)
    outside.write_text("2")
    assert of(folder) == before


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


REPLACEMENTS: dict[str, Callable[[Path], object]] = {
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("elsewhere"),
    "nothing": lambda path: path,
    "pipe": os.mkfifo,
    "socket": bind_socket,
    "nothing, nor its folder": lambda path: path.parent.rmdir(),
}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_a_file_that_is_replaced_before_it_is_read_counts_as_deleted(
    folder: Path, replacement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "late").mkdir()
    without = of(folder)
    late = folder / "late" / "file"
    read = build_context._Reader.read

    def read_after_the_change(*given: Any) -> Any:
        monkeypatch.undo()
        late.unlink()
        REPLACEMENTS[replacement](late)
        return read(*given)

    late.write_text("1")
    monkeypatch.setattr(build_context._Reader, "read", read_after_the_change)
    assert of(folder) == without


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"cannot read .*: No such file") as caught:
        of(tmp_path / "absent")
    assert caught.value.cause is Cause.IMAGE_BUILD_FAILED


def test_the_dockerfile_counts_although_it_is_excluded_or_outside(folder: Path, tmp_path: Path) -> None:
    (folder / ".dockerignore").write_text("Dockerfile\n")
    outside = tmp_path / "outside.Dockerfile"
    outside.write_text("FROM a\n")

    def both() -> list[str]:
        outer = ImageFolder(folder, dockerfile=str(outside))
        return [of(folder), context_digest(outer, tmp_path / "cache")]

    before = both()
    (folder / "Dockerfile").write_text("FROM b\n")
    outside.write_text("FROM b\n")
    after = both()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_ignore_file_of_the_dockerfile_applies_to_the_digest(folder: Path) -> None:
    (folder / "Dockerfile.dockerignore").write_text("src\n")
    (folder / ".dockerignore").write_text("link\n")
    before = of(folder)
    (folder / "src/a.py").write_text("print(3)\n")
    assert of(folder) == before
    relink(folder / "link", "elsewhere")
    assert of(folder) != before


@pytest.mark.parametrize("pattern", [r"\#name", "[^b-z]", "**/cache", " #name"])
def test_a_change_of_a_file_that_is_sent_changes_the_digest(folder: Path, pattern: str) -> None:
    (folder / ".dockerignore").write_text(f"{pattern}\n")
    for name in ("#name", "a", "b", "src/cache", "cached"):
        (folder / name).write_text("1")
    sent = {file.path for file in BuildContext(folder).files()}
    for name in ("#name", "a", "b", "src/cache", "cached"):
        before = of(folder)
        (folder / name).write_text("2")
        assert (of(folder) != before) is (name in sent)


def test_target_and_build_contexts_are_part_of_the_digest(folder: Path, tmp_path: Path) -> None:
    made = [
        ImageFolder(folder),
        ImageFolder(folder, target="a"),
        ImageFolder(folder, contexts={"a": "docker-image://b"}),
        ImageFolder(folder, contexts={"a": "docker-image://c"}),
    ]
    assert len({context_digest(source, tmp_path / "cache") for source in made}) == 4


def test_secrets_are_not_part_of_the_digest(folder: Path, tmp_path: Path) -> None:
    secret = ImageFolder(folder, secrets=(BuildSecret("a", variable="B"),))
    assert context_digest(secret, tmp_path / "cache") == of(folder)
