from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.values.untrusted import ROOT, UnsafePath, UntrustedDir


def resolved(folder: Path, inside: str = "/outputs") -> str | None:
    """Return the path of `f` with all links resolved."""
    with UntrustedDir(folder, inside) as tree:
        entry = tree.find(("f",))
        return None if entry is None else "/".join(entry.parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output folder with a file in a folder, and links to both."""
    made = tmp_path / "out"
    (made / "run1").mkdir(parents=True)
    (made / "run1/best").write_text("best")
    (made / "real").write_text("real")
    (made / "dir").symlink_to("/outputs/run1")
    (made / "chain").symlink_to("dir/best")
    return made


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/outputs/run1/best", "run1/best"),
        ("run1/best", "run1/best"),
        ("./run1/../real", "real"),
        ("../outputs/real", "real"),
        ("run1/../../outputs/real", "real"),
        ("../../../outputs/real", "real"),  # the parent of / is /
        ("/../outputs/real", "real"),
        ("/outputs/../outputs/real", "real"),
        ("//outputs//real", "real"),
        ("dir/best", "run1/best"),
        ("dir/../real", "real"),  # as the kernel: the parent of the target
        ("chain", "run1/best"),
        ("dir", "run1"),
        ("dir/", "run1"),
    ],
)
def test_a_link_leads_where_it_leads_in_the_container(folder: Path, target: str, path: str) -> None:
    (folder / "f").symlink_to(target)
    assert resolved(folder) == path


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/inputs/a", "link to '/inputs/a' leaves the output folder"),
        ("../inputs/a", "leaves the output folder"),
        ("..", "leaves the output folder"),
        ("/", "leaves the output folder"),
        ("/outputs2/real", "leaves the output folder"),
        ("../outputs2/real", "leaves the output folder"),
        ("/outputs/../inputs/a", "leaves the output folder"),
        ("/proc/self/root/outputs/real", "leaves the output folder"),
        ("f", "circular link"),
        ("missing", "broken link to 'missing'"),
        ("real/", "broken link"),  # not a folder
        ("real/../real", "broken link"),
        ("real/x", "broken link"),
    ],
)
def test_a_link_out_of_the_folder_is_refused_with_the_reason(folder: Path, target: str, message: str) -> None:
    (folder / "f").symlink_to(target)
    with pytest.raises(UnsafePath, match=message):
        resolved(folder)


def test_the_parents_of_a_nested_output_folder_are_passed(folder: Path) -> None:
    (folder / "f").symlink_to("../../data/out/real")
    assert resolved(folder, "/data/out") == "real"
    with pytest.raises(UnsafePath, match="leaves the output folder"):
        resolved(folder, "/data/other")


@pytest.mark.parametrize("name", ["real", "run1", "dir", "chain", "missing"])
def test_a_name_in_a_found_folder_is_what_its_path_is(folder: Path, name: str) -> None:
    with UntrustedDir(folder, "/outputs") as tree:
        assert tree.find_in(ROOT, name) == tree.find((name,))
        run = tree.find(("dir",))
        assert run is not None
        assert tree.find_in(run, "best") == tree.find(("dir", "best"))
        assert tree.host_text(run) == str(tree.host_path(run)) == str(folder / "run1")


def test_a_file_that_was_replaced_by_a_pipe_is_not_readable(folder: Path) -> None:
    with UntrustedDir(folder, "/outputs") as tree:
        entry = tree.find(("real",))
        assert entry is not None
        tree.check_readable(entry)
        (folder / "real").unlink()
        os.mkfifo(folder / "real")
        with pytest.raises(UnsafePath, match="changed while it was read"):
            tree.check_readable(entry)
