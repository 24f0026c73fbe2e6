from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.engines.dockerd.configuration.file import ConfigFile
from tests.support.docker_files import write_config


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "expected an object, got []"),
        (b"17", "expected an object, got 17"),
        (b"", "invalid JSON"),
        (b"{", "invalid JSON"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        ("{}".encode("utf-16"), "byte 0 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"[" * 100_000, "recursion"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_that_names_it(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "config.json").write_bytes(content)
    found = ConfigFile(tmp_path)
    (problem,) = found.problems
    assert str(tmp_path / "config.json") in problem
    assert reason in problem
    assert found.content == {}


@pytest.mark.parametrize("kind", ["folder", "loop", "pipe"])
def test_something_else_than_a_file_is_a_problem(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    else:
        os.mkfifo(path)
    assert str(path) in ConfigFile(tmp_path).problems[0]


def test_a_missing_file_is_no_problem(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none", Path("/dev/null/x")):
        assert ConfigFile(folder).problems == []


def test_a_value_of_another_kind_is_a_problem_and_empty(tmp_path: Path) -> None:
    write_config(tmp_path, auths=[], currentContext=5, proxies=None)
    found = ConfigFile(tmp_path)
    assert (found.get("auths", dict), found.get("currentContext", str), found.get("proxies", dict)) == (
        {},
        "",
        {},
    )
    assert ["auths must be an object" in found.problems[0], len(found.problems)] == [True, 2]
