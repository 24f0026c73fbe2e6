"""The files of a build context: what is selected, and files that change in the meantime."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from localrun.engines.context.files import BuildContext, open_file
from localrun.errors import Cause, ImageError
from localrun.task.store import TaskStore
from tests.conftest import OtherUser


def paths(folder: Path, dockerfile: str | Path = "Dockerfile") -> list[str]:
    return [file.path for file in BuildContext(folder, dockerfile).files()]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")


def test_files_are_sorted_and_folders_come_before_their_content(tmp_path: Path) -> None:
    write(tmp_path, "b/z", "b/a", "a", "b.txt")
    assert paths(tmp_path) == ["a", "b", "b/a", "b/z", "b.txt"]


def test_a_file_that_is_deleted_during_the_listing_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a", "b/x", "c/x", "d")
    files = BuildContext(tmp_path).files()
    assert next(files).path == "a"
    shutil.rmtree(tmp_path / "b")
    assert next(files).path == "c"
    shutil.rmtree(tmp_path / "c")
    assert [file.path for file in files] == ["d"]


def test_a_folder_that_becomes_a_file_during_the_listing_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a", "b/x", "c")
    files = BuildContext(tmp_path).files()
    next(files)
    shutil.rmtree(tmp_path / "b")
    write(tmp_path, "b")
    assert [file.path for file in files] == ["c"]


def test_sockets_are_left_out_as_in_docker(tmp_path: Path) -> None:
    write(tmp_path, "a")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(tmp_path / "socket"))
    assert paths(tmp_path) == ["a"]


def test_a_pipe_that_replaced_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert open_file(tmp_path / "pipe") is None


def test_an_excluded_folder_appears_only_with_a_file_below_that_is_included(tmp_path: Path) -> None:
    write(tmp_path, "a/b/keep", "a/b/other", "a/c/other", "d/other")
    (tmp_path / ".dockerignore").write_text("*\n!**/keep\n")
    assert paths(tmp_path) == ["a", "a/b", "a/b/keep"]


def test_the_ignore_file_of_a_dockerfile_replaces_that_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, "a", "b", "Dockerfile", "docker/own", "docker/other")
    (tmp_path / ".dockerignore").write_text("*\n!a\n")
    (tmp_path / "docker/own.dockerignore").write_text("**\n!b\n")
    assert paths(tmp_path) == ["a"]
    assert paths(tmp_path, "docker/own") == ["b"]
    assert paths(tmp_path, "docker/other") == ["a"]


def test_the_ignore_file_of_a_dockerfile_outside_of_the_folder_applies(tmp_path: Path) -> None:
    write(tmp_path, "context/a", "context/b", "Dockerfile")
    (tmp_path / "Dockerfile.dockerignore").write_text("a\n")
    assert paths(tmp_path / "context", tmp_path / "Dockerfile") == ["b"]


def test_git_and_the_tasks_are_excluded_unless_they_are_included(tmp_path: Path) -> None:
    write(tmp_path, "a", ".git/x", ".localrun/x", "sub/.git/x")
    assert paths(tmp_path) == ["a", "sub"]
    (tmp_path / ".dockerignore").write_text("!.git\n.dockerignore\n")
    assert paths(tmp_path) == [".git", ".git/x", "a", "sub"]


def test_a_task_folder_with_another_name_is_excluded(tmp_path: Path) -> None:
    # Given a task folder as `--home` or a test session creates it, and one that only looks similar
    home = tmp_path / "sub" / "[runs] *"
    TaskStore(home).create()
    write(tmp_path, "similar/tasks/x", "similar/active/x")
    (tmp_path / "similar/.gitignore").write_text("*.log\n")

    # Then only the first is excluded, for builders that read the folder themselves as well
    found = paths(tmp_path)
    assert [path for path in found if path.startswith("sub")] == ["sub"]
    assert "similar/tasks/x" in found
    lines = BuildContext(tmp_path).ignore_lines()
    assert lines[-1] == r"/sub/\[runs] \*"
    (tmp_path / ".dockerignore").write_text("\n".join([*lines, ".dockerignore"]))
    (home / ".gitignore").unlink()  # not recognised any more
    assert paths(tmp_path) == found


def test_an_ignore_file_need_not_be_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff")
    write(tmp_path, name, "a")
    (tmp_path / ".dockerignore").write_bytes(b"\xff\n.dockerignore\n")
    assert paths(tmp_path) == ["a"]


def test_an_invalid_pattern_is_reported_with_the_file(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("ok\n[a\n")
    with pytest.raises(ImageError) as caught:
        paths(tmp_path)
    assert caught.value.cause is Cause.IMAGE_BUILD_FAILED
    assert caught.value.message == (
        f"invalid pattern in {tmp_path}/.dockerignore: '[a': syntax error in pattern"
    )


def test_an_unreadable_folder_is_an_error_unless_it_is_excluded(
    tmp_path: Path, as_other_user: OtherUser
) -> None:
    folder = as_other_user.folder(tmp_path.name)
    write(folder, "private/x", "a")
    (folder / "private").chmod(0)
    code = "import sys; from pathlib import Path; from localrun.engines.context.files import BuildContext\n"
    code += "print([file.path for file in BuildContext(Path(sys.argv[1])).files()])"
    done = as_other_user.run(["-c", code, str(folder)], cwd=folder)
    assert f"cannot read {folder}/private: Permission denied" in done.stderr
    (folder / ".dockerignore").write_text("private\n!private/x\n.dockerignore")
    done = as_other_user.run(["-c", code, str(folder)], cwd=folder)
    assert done.stdout.strip() == "['a']"


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_an_ignore_file_that_is_a_pipe_is_refused(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ImageError, match="is not a regular file"):
        list(BuildContext(tmp_path).files())
