"""Comparison of two tasks: sections, values, file contents, and hostile outputs."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.compare import Change, ComparedTask, diff_durations, diff_tasks
from localrun.values.compare.change import diff_values
from localrun.values.compare.file_contents import diff_contents
from localrun.values.compare.folders import diff_files, diff_folders
from tests.manager.test_recovery import add
from tests.support.environment import DESCRIPTOR, Environment, make_environment

LISTS = DESCRIPTOR.replace(
    "  b: {type: integer, description: other, display_name: B}\n",
    "  xs: {type: {id: array, subtype: integer}, description: xs, display_name: Xs}\n"
    "  f: {type: file, description: f, display_name: F}\n",
).replace(
    "  sum: {type: integer, description: both, display_name: Sum}\n",
    "  ys: {type: {id: array, subtype: integer}, description: ys, display_name: Ys}\n"
    "  log: {type: file, description: log, display_name: Log}\n",
)


def side(record: TaskRecord) -> ComparedTask:
    return ComparedTask(record, Workspace(Path(record.folder)))


def told(first: TaskRecord, second: TaskRecord) -> dict[str, tuple[Any, Any]]:
    return {f"{c.section}.{c.path}": (c.first, c.second) for c in diff_tasks(side(first), side(second))}


def copy_list(container: FakeContainer) -> int:
    """Write the list of the inputs to the outputs, and a log of its items."""
    source, target = container.path("/inputs/xs"), container.path("/outputs/ys")
    target.mkdir()
    items = [path for path in sorted(source.iterdir()) if path.name != "array.yml"]
    for path in (*items, source / "array.yml"):
        (target / path.name).write_text(path.read_text())
    lines = "".join(f"item {path.read_text()}\n" for path in items)
    container.path("/outputs/log").write_text(f"begin\n{lines}end\n")
    return 0


def lists(env: Environment, tmp_path: Path) -> Any:
    env.bundle.write_text(LISTS)

    def run(xs: list[int], content: bytes, name: str = "f") -> TaskRecord:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)  # so that it is copied
        return env.run(values={"a": 1, "xs": xs, "f": path})

    return run


def test_two_runs_of_the_same_differ_in_nothing(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        first, second = env.run(values={"a": 3, "b": 4}), env.run(values={"a": 3, "b": 4})
        assert diff_tasks(side(first), side(second)) == []


def test_inputs_outputs_and_limits_that_differ_are_told(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        first = env.run(values={"a": 3, "b": 4})
        second = env.run(values={"a": 3, "b": 5}, cpus=0.5, timeout=9.0, network=True, hardened=True)
    assert told(first, second) == {
        "inputs.b": (4, 5),
        "outputs.sum": (7, 8),
        "limits.cpus": (1.0, 0.5),
        "limits.timeout": (None, 9.0),
        "limits.network": (False, True),
        "limits.hardened": (False, True),
    }


def test_how_many_replicas_there_were_is_a_difference(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        first, second = env.run(values={"a": 3, "b": 4}), env.run(values={"a": 3, "b": 4}, replicas=2)
    found = told(first, second)
    assert found["limits.replicas"] == (1, 2)
    assert not [path for path in found if path.startswith(("inputs.", "outputs."))]


def test_ends_that_differ_are_told(tmp_path: Path) -> None:
    codes = iter([0, 3])
    with make_environment(tmp_path, lambda container: add(container) or next(codes)) as env:
        first, second = env.run(values={"a": 3, "b": 4}), env.run(values={"a": 3, "b": 4})
    found = told(first, second)
    assert found["end.state"] == ("FINISHED", "FAILED")
    assert found["end.cause"] == (None, "EXIT_NONZERO")
    assert found["end.exit_code"] == (0, 3)


def test_bundle_image_and_environment_that_differ_are_told(tmp_path: Path) -> None:
    with make_environment(tmp_path, add) as env:
        first = env.run(
            values={"a": 3, "b": 4}, environment={"MODE": "x", "API_TOKEN": "secret-1", "OLD": "1"}
        )
        env.bundle.write_text(DESCRIPTOR.replace("64Mi", "65Mi"))
        assert isinstance(env.engine, FakeEngine)
        env.engine.add_image("other:1")
        second = env.run(
            values={"a": 3, "b": 4}, image="other:1", environment={"MODE": "y", "API_TOKEN": "secret-2"}
        )
    found = told(first, second)
    assert found["environment.MODE"] == ("x", "y")
    assert found["environment.OLD"] == ("1", None)
    assert "secret-" not in str(diff_tasks(side(first), side(second)))
    assert (
        next(c for c in diff_tasks(side(first), side(second)) if c.path == "API_TOKEN").note
        == "different secret"
    )
    assert found["image.id"] == (first.image, second.image)
    assert found["limits.memory"] == (64 * 1024**2, 65 * 1024**2)
    change = next(c for c in diff_tasks(side(first), side(second)) if c.path == "descriptor")
    assert any(line.startswith("+") and "65Mi" in line for line in change.details)


def test_arrays_differ_item_by_item_and_files_by_their_content(tmp_path: Path) -> None:
    with make_environment(tmp_path, copy_list) as env:
        run = lists(env, tmp_path)
        first, second = run([1, 2, 3], b"same"), run([1, 5, 3], b"same", "g")
        found = diff_tasks(side(first), side(second))
    assert [(c.section, c.path, c.first, c.second) for c in found if not c.note] == [
        ("inputs", "xs[1]", 2, 5),
        ("outputs", "ys[1]", 2, 5),
    ]
    (log,) = [c for c in found if c.note]
    assert (log.path, log.note) == ("log", "differs from line 3 (31 B and 31 B)")
    assert log.details == ("@@ -3 +3 @@", "-item 2", "+item 5")


def test_lists_of_different_length_are_told(tmp_path: Path) -> None:
    with make_environment(tmp_path, copy_list) as env:
        run = lists(env, tmp_path)
        found = diff_tasks(side(run([1], b"x")), side(run([1, 2], b"x")))
    assert "1 and 2 items" in {change.note for change in found if change.path == "ys"}


def test_a_file_input_is_compared_by_the_copy_that_the_task_got(tmp_path: Path) -> None:
    with make_environment(tmp_path, copy_list) as env:
        run = lists(env, tmp_path)
        first = run([1], b"one\ntwo\n")
        second = run([1], b"one\n2\n")  # the same path
        found = [change for change in diff_tasks(side(first), side(second)) if change.section == "inputs"]
    assert [(change.path, change.note) for change in found] == [("f", "differs from line 2 (8 B and 6 B)")]


def test_a_mounted_file_that_was_written_to_since_may_differ_and_that_is_said(tmp_path: Path) -> None:
    with make_environment(tmp_path, copy_list) as env:
        env.bundle.write_text(LISTS)
        path = tmp_path / "f"
        path.write_text("old")
        values = {"a": 1, "xs": [1], "f": path}
        first = env.run(values=values)
        assert diff_tasks(side(first), side(env.run(values=values))) == []
        path.write_text("new")
        second = env.run(values=values)
        (found,) = diff_tasks(side(first), side(second))
        assert (found.path, found.note) == (
            "f",
            f"{path} was modified since; its earlier content is not kept",
        )
        path.unlink()
        assert diff_tasks(side(first), side(second)) == []


@pytest.mark.parametrize(
    ("first", "second", "offset", "line"),
    [
        (b"abc", b"abc", None, 0),
        (b"", b"", None, 0),
        (b"abc", b"abd", 2, 1),
        (b"abc", b"ab", 2, 1),
        (b"a\nb\nc", b"a\nb\nd", 4, 3),
        (b"\0abc", b"\0abd", 3, 0),
        (b"x" * (2 << 20) + b"a", b"x" * (2 << 20) + b"b", 2 << 20, 0),
        (b"x" * (1 << 20), b"x" * (1 << 20) + b"y", 1 << 20, 0),
    ],
)
def test_where_two_files_begin_to_differ(first: bytes, second: bytes, offset: int | None, line: int) -> None:
    found = diff_contents(io.BytesIO(first), io.BytesIO(second))
    assert (found and (found.offset, found.line)) == (None if offset is None else (offset, line))


def test_a_long_difference_is_cut(tmp_path: Path) -> None:
    found = diff_contents(
        io.BytesIO(b"".join(b"a%d\n" % n for n in range(99))),
        io.BytesIO(b"".join(b"b%d\n" % n for n in range(99))),
    )
    assert found is not None
    assert len(found.details) == 9
    assert found.details[-1] == "... and 191 more lines"


def test_folders_that_a_user_named_by_links_are_compared_by_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slide").write_text(name)
        (tmp_path / f"link-{name}").symlink_to(name)
    (change,) = diff_files("inputs", "image", tmp_path / "link-a", tmp_path / "link-b")
    assert change.path == "image/slide"


def test_links_and_devices_are_compared_as_what_they_are_and_never_followed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        os.mkfifo(folder / "pipe")
        (folder / "same").symlink_to("/etc/hostname")
    (first / "link").symlink_to("/etc/hostname")
    (second / "link").symlink_to("/etc/passwd")
    (first / "x").write_text("1")
    (second / "x").mkdir()
    (first / "only").write_text("1")
    assert list(diff_folders("outputs", first, second)) == [
        Change("outputs", "link", "a link to /etc/hostname", "a link to /etc/passwd"),
        Change("outputs", "only", "a file of 1 B", None),
        Change("outputs", "x", "a file of 1 B", "a folder"),
    ]


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_text("1")
    assert list(diff_folders("outputs", tmp_path / "a", tmp_path / "b")) == [
        Change("outputs", "x", "a file of 1 B", None)
    ]


def test_true_is_not_one() -> None:
    assert [change.path for change in diff_values("s", "", {"a": 1, "b": 1.5}, {"a": True, "b": 1.5})] == [
        "a"
    ]


def test_durations_name_every_phase_of_either() -> None:
    first = TaskRecord(id="1", bundle="", timings={"run": 1.0, "image": 2.0})
    second = TaskRecord(id="2", bundle="", timings={"run": 3.0, "outputs": 4.0})
    assert diff_durations(first, second) == {
        "run": (1.0, 3.0),
        "image": (2.0, None),
        "outputs": (None, 4.0),
        "in all": (None, None),
    }


def test_links_are_compared_as_the_files_that_the_container_saw(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "same").write_text("same")
        (tmp_path / name / text).write_text(text)
    (tmp_path / "a/f").symlink_to("/outputs/same")
    (tmp_path / "b/f").write_text("same")
    (tmp_path / "a/g").symlink_to("../outputs/one")
    (tmp_path / "b/g").symlink_to("/results/two")
    folders = tmp_path / "a", tmp_path / "b"
    changes = list(diff_folders("outputs", *folders, ("/outputs", "/results")))
    assert [change.path for change in changes] == ["g", "one", "two"]
    assert changes[0].details
