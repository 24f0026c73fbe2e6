"""Copying outputs: `run -o`, `outputs -o` and `tasks download` deliver what validation accepted."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from localrun import copying
from localrun.api.task import Task
from localrun.engines.fake import FakeContainer
from tests.cli.command import Command, Result
from tests.support.environment import DESCRIPTOR, IMAGE

ONE_FILE = DESCRIPTOR.replace(
    "  sum: {type: integer, description: both, display_name: Sum}\n",
    "  f: {type: file, description: f, display_name: F}\n",
)


def link_to(localrun: Command, target: str) -> None:
    """Let the task write `run1/best` and `real`, and make its output a link."""
    localrun.bundle.write_text(ONE_FILE)

    def program(container: FakeContainer) -> int:
        container.path("/outputs/run1").mkdir()
        container.path("/outputs/run1/best").write_text("best")
        container.path("/outputs/real").write_text("best")
        container.path("/outputs/dir").symlink_to("/outputs/run1")
        container.path("/outputs/f").symlink_to(target)
        return 0

    localrun.program = program


@pytest.mark.parametrize(
    "target", ["/outputs/run1/best", "run1/best", "../outputs/real", "dir/best", "/outputs/dir/../real"]
)
def test_a_link_that_validation_accepts_is_delivered_everywhere(localrun: Command, target: str) -> None:
    link_to(localrun, target)
    folder = localrun.folder
    ran = localrun.run("-o", folder / "run", "--json")
    assert (ran.code, ran.json["outputs"]) == (0, {"f": str(folder / "run/f")})
    task_id = ran.json["id"]
    shown = localrun("outputs", task_id, "-o", folder / "outputs", "--json")
    assert (shown.code, shown.json["outputs"]) == (0, {"f": str(folder / "outputs/f")})
    assert localrun("tasks", "download", task_id, "--dir", folder / "tasks").code == 0
    named = ("--dir", folder / "named", "--filenames", "f")
    assert localrun("tasks", "download", task_id, *named).code == 0
    task = Task(task_id, folder / "home")
    task.download_outputs(dest=folder / "python")
    assert task.outputs["f"].read_text() == "best"
    copies = [f"run/f outputs/f tasks/{task_id}/outputs/f named/{task_id}/outputs/f python/f"]
    for copy in copies[0].split():
        assert (folder / copy).read_text() == "best"
        assert not (folder / copy).is_symlink()


@pytest.mark.parametrize("target", ["/inputs/a", "../inputs/a", "/etc/passwd", "f", "nothing"])
def test_a_link_that_validation_rejects_is_delivered_nowhere(localrun: Command, target: str) -> None:
    link_to(localrun, target)
    folder = localrun.folder
    ran = localrun.run("-o", folder / "run", "--json")
    assert (ran.code, ran.json["cause"]) == (1, "OUTPUTS_INVALID")
    assert ran.json["copy_problems"][0]["path"] == "outputs.f"
    task_id = ran.json["id"]
    shown = localrun("outputs", task_id, "-o", folder / "outputs")
    got = localrun("tasks", "download", task_id, "--dir", folder / "tasks")
    for result in (shown, got):
        assert result.code == 1
        assert "outputs.f" in result.err
    assert not list(folder.rglob("f"))[1:]  # only the link itself


def failed_delivery(localrun: Command, *arguments: object) -> Result:
    """Call a command after the file of a valid output was deleted from the task's folder."""
    link_to(localrun, "real")
    task_id = localrun.run("--json").json["id"]
    for name in ("f", "real"):
        (localrun.folder / "home/tasks" / task_id / "outputs" / name).unlink()
    return localrun(*(task_id if argument == "ID" else argument for argument in arguments))


def test_a_failed_delivery_is_an_exit_code_and_names_the_output(localrun: Command) -> None:
    result = failed_delivery(localrun, "outputs", "ID", "-o", localrun.folder / "out", "--json")
    assert result.code == 1
    assert "outputs.f" in result.err
    assert [problem["path"] for problem in result.json["copy_problems"]] == ["outputs.f"]
    assert failed_delivery(localrun, "tasks", "download", "ID", "--dir", localrun.folder / "d").code == 1


def test_a_run_whose_outputs_cannot_be_copied_does_not_exit_with_0(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_DISK_STOP", "0.1")
    monkeypatch.setenv("LOCALRUN_DISK_LIMIT", "100")
    monkeypatch.setattr(copying, "_ALLOWANCE", 0)
    monkeypatch.setattr(copying, "_CHUNK", 0)  # small files are checked together
    result = localrun.run("-o", localrun.folder / "out", "--json")
    assert (result.code, result.json["state"]) == (5, "FINISHED")
    assert "not enough disk space" in result.err
    assert result.json["copy_problems"][0]["path"] == "outputs.sum"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["outputs", "tasks download"])
def test_an_interrupted_copy_leaves_no_temporary_file(
    localrun: Command, monkeypatch: pytest.MonkeyPatch, command: str, number: signal.Signals
) -> None:
    task_id = localrun.run("--json").json["id"]
    out = localrun.folder / "out"
    real = copying._write_all

    def write(target: int, data: bytes) -> None:
        os.kill(os.getpid(), number)
        real(target, data)

    monkeypatch.setattr(copying, "_write_all", write)
    option = "-o" if command == "outputs" else "--dir"
    result = localrun(*command.split(), task_id, option, out)
    assert result.code == 130
    assert not [path for path in out.rglob("*") if path.is_file()]


def test_an_interrupted_run_leaves_no_temporary_file(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = localrun.folder / "out"

    def write(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(copying, "_write_all", write)
    assert localrun.run("-o", out).code == 130
    assert not out.exists()


def test_a_full_disk_leaves_no_temporary_file(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copying, "_write_all", full)
    result = localrun.run("-o", localrun.folder / "out")
    assert result.code == 5
    assert "outputs.sum" in result.err or "out/sum: No space left on device" in result.err
    assert not (localrun.folder / "out").exists()


def test_inputs_are_copied_with_their_mounted_files(localrun: Command, tmp_path: Path) -> None:
    localrun.bundle.write_text(
        DESCRIPTOR.replace(
            "  b: {type: integer", "  f: {type: file, description: f, display_name: F}\n  b: {type: integer"
        )
    )
    (tmp_path / "given").write_text("given")
    task_id = localrun.run("-i", f"f=@{tmp_path / 'given'}", "--json").json["id"]
    assert localrun("tasks", "download", task_id, "-i", "--dir", tmp_path / "d").code == 0
    copy = tmp_path / "d" / task_id / "inputs/f"
    assert (copy.read_text(), copy.is_symlink()) == ("given", False)
    assert (tmp_path / "given").read_text() == "given"


def write_latin_1(kind: str) -> Callable[[FakeContainer], int]:
    """Return a program whose output `f` is a link, a folder or items with a name that is not UTF-8."""

    def program(container: FakeContainer) -> int:
        out = container.path("/outputs")
        place, other = out / "f", out / os.fsdecode(b"real\xe9")
        if kind in ("folder", "item"):
            place.mkdir()
        if kind in ("link", "item"):
            other.write_text("best")
        if kind == "linked folder":
            other.mkdir()
            (other / "a").write_text("best")
        if kind == "folder":
            (place / os.fsdecode(b"\xe9")).write_text("best")
            (place / "broken").symlink_to(os.fsdecode(b"none\xe9"))
        elif kind == "item":
            (place / os.fsdecode(b"0\xe9")).symlink_to(f"../{other.name}")
            (place / "0").symlink_to(f"../{other.name}")
        elif kind == "outside":
            place.symlink_to(os.fsdecode(b"/etc/none\xe9"))
        else:
            place.symlink_to(other.name)
        return 0

    return program


@pytest.mark.parametrize("kind", ["link", "broken link", "outside", "linked folder", "folder", "item"])
def test_names_that_are_not_utf_8_are_shown_escaped_and_the_task_ends(localrun: Command, kind: str) -> None:
    kinds = {"item": "{id: array, subtype: file}"}
    localrun.bundle.write_text(ONE_FILE.replace("{type: file", f"{{type: {kinds.get(kind, 'file')}"))
    localrun.program = write_latin_1(kind)
    ran = localrun.run("-o", localrun.folder / "run", "--json")
    state, cause = ("FINISHED", None) if kind == "link" else ("FAILED", "OUTPUTS_INVALID")
    assert (ran.json["state"], ran.json["cause"]) == (state, cause)
    shown = [ran]
    for command in ("status", "outputs", "explain"):
        shown += [localrun(command, "last"), localrun(command, "last", "--json")]
    shown.append(localrun("outputs", "last", "-o", localrun.folder / "copied"))
    for result in shown:
        text = result.out + result.err
        assert "Traceback" not in text
        assert "bug in localrun" not in text
        assert "udce9" not in text
    if kind not in ("link", "linked folder"):
        assert r"\xe9" in ran.err
    if kind == "link":
        assert (localrun.folder / "run/f").read_text() == (localrun.folder / "copied/f").read_text() == "best"


@pytest.mark.parametrize("command", ["run", "outputs", "tasks download"])
def test_a_file_does_not_replace_a_folder_of_the_user(localrun: Command, command: str) -> None:
    two = "  sum: {type: integer, description: s, display_name: S}\n"
    localrun.bundle.write_text(DESCRIPTOR + two.replace("sum", "more"))

    def program(container: FakeContainer) -> int:
        for name in ("sum", "more"):
            container.path(f"/outputs/{name}").write_text("7")
        return 0

    localrun.program = program
    out = localrun.folder / "out"
    task_id = localrun.run("--json").json["id"]
    place = out / task_id / "outputs" if command == "tasks download" else out
    (place / "sum").mkdir(parents=True)
    (place / "sum/mine").write_text("mine")
    if command == "run":
        result = localrun.run("-o", out)
    else:
        result = localrun(*command.split(), task_id, "--dir" if command == "tasks download" else "-o", out)
    assert result.code == (5 if command == "run" else 2)
    assert f"cannot write {place / 'sum'}: a file does not replace a folder; move it away" in result.err
    assert "hint: choose another folder" in result.err
    assert (place / "sum/mine").read_text() == "mine"
    assert sorted(path.name for path in place.iterdir()) == ["more", "sum"]
    assert (place / "more").read_text() == "7"


def test_an_output_that_is_not_copied_keeps_its_path(localrun: Command) -> None:
    link_to(localrun, "real")
    (localrun.folder / "out/f").mkdir(parents=True)
    result = localrun.run("-o", localrun.folder / "out", "--json")
    assert Path(result.json["outputs"]["f"]).read_text() == "best"
    assert [problem["path"] for problem in result.json["copy_problems"]] == ["outputs.f"]


def test_extensions_are_added_wherever_outputs_are_copied(localrun: Command) -> None:
    from tests.support.image_tasks import descriptor_text, find_squares, save_image

    localrun.bundle.write_text(descriptor_text())
    localrun.program = find_squares
    folder = localrun.folder
    given = ["-i", f"image=@{save_image(folder)}"]
    ran = localrun(
        "run",
        localrun.bundle,
        "--image",
        IMAGE,
        *given,
        "-o",
        folder / "run",
        "--extensions",
        "--json",
    )
    assert ran.code == 0
    assert ran.json["outputs"]["mask"] == str(folder / "run/mask.png")
    assert ran.json["outputs"]["outlines"] == str(folder / "run/outlines.geojson")
    shown = localrun("outputs", "last", "-o", folder / "outputs", "--extensions")
    assert f"mask: {folder / 'outputs/mask.png'}" in shown.out
    again = localrun("rerun", "last", "-o", folder / "rerun", "--extensions", "-q")
    assert again.code == 0
    names = ["areas", "mask.png", "outlines.geojson"]
    for name in ("run", "outputs", "rerun"):
        assert sorted(path.name for path in (folder / name).iterdir()) == names
    plain = localrun("outputs", "last", "-o", folder / "plain")
    assert (plain.code, sorted(path.name for path in (folder / "plain").iterdir())) == (
        0,
        ["areas", "mask", "outlines"],
    )


@pytest.mark.parametrize("option", ["--in-image", "--extensions"])
def test_options_for_copies_need_a_folder(localrun: Command, option: str) -> None:
    for arguments in (["outputs", "last"], ["run", "bundle"], ["rerun", "last"]):
        found = localrun(*arguments, option)
        assert found.code == 2
        assert f"{option} needs a folder" in found.err
        assert "add -o DIR" in found.err
