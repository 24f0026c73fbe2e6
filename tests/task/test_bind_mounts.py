from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.errors import EngineError, UsageError
from localrun.task.bind_mounts import check_mounts, check_visible, deviations, parse_mount, parse_mounts
from localrun.task.record import BindMount


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a:b").mkdir()
    (tmp_path / "program").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "source", "target", "read_only"),
    [
        ("program:/app", "program", "/app", True),
        ("program:/app:ro", "program", "/app", True),
        ("./program/:/app/:rw", "program", "/app", False),
        ("~/program:/app//lib/.", "program", "/app/lib", True),
        ("a:b:/app:rw", "a:b", "/app", False),
        (".:/a", ".", "/a", True),
    ],
)
def test_a_mount_is_read_only_unless_it_says_otherwise(
    folder: Path, text: str, source: str, target: str, read_only: bool
) -> None:
    found = parse_mount(text)
    assert found == BindMount(source=str((folder / source).resolve()), target=target, read_only=read_only)
    assert parse_mount(str(found)) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("program", "is not SRC:DST"),
        ("program:app", "is not SRC:DST"),
        (":/app", "is not SRC:DST"),
        ("program:/app:z", "unknown mode 'z'; expected rw or ro"),
        ("nothing:/app", "no such file or folder: '"),
        ("program:/", "cannot be mounted"),
        ("program:/app/../etc", "cannot be mounted"),
        ("program:/proc/x", "the engine writes files there"),
        ("program:/etc/hosts", "the engine writes files there"),
        ("program\0:/app", "no such file or folder"),
        ("pro\udce9:/app", "is not UTF-8"),
    ],
)
def test_a_mount_that_cannot_work_is_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_mount(text, folder)


def test_a_relative_source_starts_at_the_given_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert parse_mount("program:/app", folder).source == str(folder / "program")


def test_every_invalid_mount_is_reported(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"(?s)'x' is not SRC.*expected SRC:DST\[:rw\], found 5"):
        parse_mounts(["x", "program:/app", 5])
    for value in ("program:/app", 5):
        with pytest.raises(ValueError, match="expected a list"):
            parse_mounts(value)
    assert parse_mounts(()) == []


def mount(source: Path, target: str, **more: Any) -> BindMount:
    return BindMount(source=str(source), target=target, **more)


@pytest.mark.parametrize("target", ["/inputs", "/inputs/a", "/data/outputs", "/data"])
def test_a_mount_cannot_hide_inputs_or_outputs(folder: Path, target: str) -> None:
    with pytest.raises(UsageError, match="1 problem") as caught:
        check_mounts([mount(folder, target)], "/inputs", "/data/outputs")
    assert "overlaps the" in caught.value.problems[0].message


def test_mounts_cannot_hide_each_other(folder: Path) -> None:
    twice = [mount(folder, "/app"), mount(folder / "program", "/app")]
    with pytest.raises(UsageError) as caught:
        check_mounts(twice, "/inputs", "/outputs")
    assert "mounted twice" in caught.value.problems[0].message
    inside = [mount(folder / "program", "/app/other"), mount(folder, "/app")]
    with pytest.raises(UsageError) as caught:
        check_mounts(inside, "/inputs", "/outputs")
    assert f"which has no {folder}/other" in caught.value.problems[0].message
    check_mounts([mount(folder, "/app"), mount(folder / "a:b", "/app/program")], "/inputs", "/outputs")


def test_an_engine_that_cannot_mount_is_an_error_which_names_the_path(folder: Path) -> None:
    check_visible([])
    with pytest.raises(EngineError, match=r"cannot see a path of this machine: .*program"):
        check_visible([mount(folder / "program", "/app")])
    with pytest.raises(EngineError, match=r"the mounted path is gone: .*other"):
        check_visible([mount(folder / "other", "/app")])


def test_each_mount_is_a_deviation_from_the_image() -> None:
    assert deviations([mount(Path("/src"), "/app"), mount(Path("/x"), "/y", read_only=False)]) == (
        "the image is not used as it is: /src is mounted at /app (ro)",
        "the image is not used as it is: /x is mounted at /y (rw)",
    )
