"""Full disks, closed pipes, missing home directories, little memory and special files."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localrun import fs
from localrun.cli.exit_codes import ExitCode
from localrun.errors import UsageError
from localrun.settings import NO_FOLDER, default_cache, load
from tests.cli.command import Command
from tests.support.environment import DESCRIPTOR

# commands that need neither an engine nor a task
PRINTING = (
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["list", "--help"],
    ["schema"],
    ["schema", "--json"],
    ["explain"],
    ["explain", "--json"],
    ["list", "--json"],
    ["status", "nothing", "--json"],
    ["list", "--nonsense", "--json"],
    ["completion", "bash"],
    ["validate", "descriptor.yml", "--image", "none", "--json"],
    ["inspect", "descriptor.yml", "--image", "none"],
)


def localrun(*arguments: str, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])} | options.pop("env", {})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    options = pipes | ({} if "input" in options else {"stdin": subprocess.DEVNULL}) | options
    command = [sys.executable, *options.pop("program", ("-m", "localrun")), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, text=True, timeout=60, check=False, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    return tmp_path


# -- full disks and closed pipes ---------------------------------------------------------------------


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_output_to_a_full_disk_is_one_clear_error(arguments: list[str], folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = localrun(*arguments, cwd=folder, stdout=full)
    assert result.returncode in {ExitCode.ENGINE_OR_HOST, ExitCode.USAGE, ExitCode.BUNDLE_OR_VALUES}
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
    assert "cannot write to standard output: No space left on device" in result.stderr


@pytest.mark.parametrize("arguments", PRINTING[::4], ids=" ".join)
def test_a_full_disk_for_both_outputs_only_changes_the_exit_code(arguments: list[str], folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        result = localrun(*arguments, cwd=folder, stdout=full, stderr=full)
    assert result.returncode in {ExitCode.ENGINE_OR_HOST, ExitCode.USAGE, ExitCode.BUNDLE_OR_VALUES}


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_is_gone_is_not_an_error(arguments: list[str], folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        result = localrun(*arguments, cwd=folder, stdout=pipe)
    assert result.returncode in set(ExitCode)
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr


# -- users without a home ----------------------------------------------------------------------------


def test_every_setting_expands_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("home", "cache", "logs", "ledger", "docker_config")
    found = load({f"LOCALRUN_{name.upper()}": f"~/{name}" for name in names})
    assert {name: getattr(found, name) for name in names} == {name: tmp_path / name for name in names}
    assert load({}, home=Path("~/x")).home == tmp_path / "x"
    assert load({"XDG_CACHE_HOME": "~/c"}).cache == tmp_path / "c" / "localrun"
    assert load({"DOCKER_CONFIG": "~/d"}).docker_config == tmp_path / "d"


def test_the_home_of_an_unknown_user_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        load({"LOCALRUN_HOME": "~nobody-here/x", "LOCALRUN_LEDGER": "~nobody-here/y"})
    assert [problem.path for problem in caught.value.problems] == ["LOCALRUN_HOME", "LOCALRUN_LEDGER"]
    assert "no home directory to expand ~ to" in caught.value.problems[0].message


def test_an_option_with_an_equals_sign_expands_the_home_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = localrun("list", cwd=folder, env={"HOME": str(folder), "LOCALRUN_HOME": "~/x"})
    assert result.returncode == 0
    assert not (folder / "~").exists()
    made = localrun("init", "~/made", "--input=a:integer", cwd=folder, env={"HOME": str(folder)})
    assert made.returncode == 0, made.stderr
    assert (folder / "made").is_dir()


@pytest.mark.parametrize("home", ["file", "missing", "read-only"])
def test_the_cache_is_private_and_temporary_without_a_usable_home(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "home"
    place.write_text("") if home == "file" else None
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if home != "file":  # root may write anywhere
        monkeypatch.setattr(os, "access", lambda *_: False)
    found = default_cache()
    assert found == tmp_path / f"localrun-cache-{os.geteuid()}"
    assert found.stat().st_mode & 0o777 == 0o700
    found.chmod(0o777)  # no longer private
    assert default_cache() == NO_FOLDER
    found.rmdir()
    found.symlink_to(tmp_path)  # another user may have made it
    assert default_cache() == NO_FOLDER


# as in `docker run --user 12345`: the user has neither HOME nor an entry in the user database
AS_NOBODY = """
import os, pwd, sys
def unknown(_): raise KeyError
pwd.getpwuid = unknown
os.access = lambda *_: False
from localrun.cli import main
sys.exit(main())
"""

RUN = ["run", "descriptor.yml", "--image", "none", "--pull", "never"]
NO_HOME = [
    *(["list"], ["list", "--json"], ["status", "last"], ["doctor"], ["doctor", "--json"], ["schema"]),
    *(["validate", "descriptor.yml", "--image", "none"], ["inspect", "descriptor.yml", "--image", "none"]),
    *(
        ["prune"],
        ["completion", "bash"],
        ["explain"],
        ["events"],
        ["tasks", "list"],
        ["top"],
        ["wait", "--all"],
    ),
    *(
        ["init", "made", "--input", "a:integer"],
        RUN,
    ),
    ["kill", "--all"],
]


@pytest.mark.parametrize("arguments", NO_HOME, ids=" ".join)
def test_every_command_works_for_a_user_without_a_home(arguments: list[str], folder: Path) -> None:
    result = localrun(*arguments, cwd=folder, program=("-c", AS_NOBODY), env={"TMPDIR": str(folder)})
    assert result.returncode in set(ExitCode), result
    assert "Traceback" not in result.stderr
    assert "bug in localrun" not in result.stderr
    assert "home directory" not in result.stderr
    if "--json" in arguments:
        json.loads(result.stdout)


# -- a deleted working directory, little memory, special files ---------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["run", "x", "--json"], ["doctor"], ["validate", "."], ["prune"], ["init", "x"]],
    ids=" ".join,
)
def test_a_deleted_working_directory_is_named(arguments: list[str], tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    result = localrun(*arguments, cwd=gone, preexec_fn=gone.rmdir)
    assert result.returncode == ExitCode.USAGE, result
    assert f"cannot use the working directory {gone}: No such file or directory" in result.stderr
    assert "hint: change to an existing folder" in result.stderr
    if "--json" in arguments:
        assert json.loads(result.stdout)["state"] == "FAILED"


@pytest.mark.parametrize("arguments", [["list", "--json"], RUN], ids=" ".join)
@pytest.mark.parametrize(
    ("limit", "mib", "named"),
    [
        (resource.RLIMIT_AS, 80, "limited to 80 MiB (`ulimit -v`); localrun needs 1 GiB"),
        (resource.RLIMIT_AS, 1000, "limited to 1000 MiB (`ulimit -v`); localrun needs 1 GiB"),
        (resource.RLIMIT_DATA, 80, "limited to 80 MiB (`ulimit -d`); localrun needs 256 MiB"),
    ],
)
def test_too_little_memory_is_named(
    limit: int, mib: int, named: str, arguments: list[str], folder: Path
) -> None:
    size = mib << 20
    result = localrun(*arguments, cwd=folder, preexec_fn=lambda: resource.setrlimit(limit, (size, size)))
    assert result.returncode == ExitCode.RESOURCES, result
    assert named in result.stderr
    assert "hint: raise the limit with `ulimit -" in result.stderr


@pytest.mark.parametrize("mib", [40, 60])
def test_too_little_memory_for_its_modules_is_not_a_bug_of_localrun(mib: int, folder: Path) -> None:
    size = mib << 20
    result = localrun(
        "validate",
        "descriptor.yml",
        "--image",
        "none",
        cwd=folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    assert "bug in localrun" not in result.stderr
    if "localrun" in result.stderr:  # else the interpreter itself did not start
        assert "Traceback" not in result.stderr, result.stderr


SPECIAL = (
    "task.json",
    "events.jsonl",
    "descriptor.yml",
    "metadata.json",
    "logs/task.log",
    "logs/task.streams",
    "logs/usage.jsonl",
    "secrets.json",
    "kill",
)


@pytest.mark.parametrize("name", SPECIAL)
def test_no_command_waits_for_a_pipe_in_the_folder_of_a_task(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALRUN_LEDGER", str(tmp_path / "ledger" / "l.json"))
    command = Command(tmp_path, capsys)
    task = command.run("--json").json["id"]
    path = tmp_path / "home" / "tasks" / task / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    for arguments in (
        *(
            ["list"],
            ["status", task],
            ["info", task],
            ["describe", task],
            ["logs", task],
            ["top"],
            ["debug", task],
        ),
        *(
            ["outputs", task],
            ["list-files", task],
            ["tail", task],
            ["diff", task, task],
            ["prune"],
            ["rerun", task],
        ),
        *(
            ["wait", task],
            ["kill", task],
            ["tasks", "list"],
            ["export", str(tmp_path / "list")],
            ["rm", task],
        ),
    ):
        result = command(*arguments)
        assert result.code in set(ExitCode)
        assert "bug in localrun" not in result.err, result


def test_a_command_says_that_it_waits_for_a_pipe_of_the_user(folder: Path) -> None:
    os.mkfifo(folder / "values")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "localrun", *RUN, "--inputs", "values"]
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("waiting for data from values" in line for line in lines)
        (folder / "values").write_text("{}")
        assert "invalid inputs (2 problems)" in process.stderr.read()


def test_values_from_standard_input_are_read(folder: Path) -> None:
    result = localrun(*RUN, "--inputs", "/dev/stdin", cwd=folder, input='{"a": 1, "c": 2}')
    assert "inputs.c: unknown input" in result.stderr


@pytest.mark.parametrize("name", ["descriptor.yml", "Dockerfile", ".dockerignore", "image.tar"])
def test_no_command_waits_for_a_pipe_in_a_bundle(name: str, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM nothing\n")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for command in ("validate", "inspect"):
        result = localrun(command, ".", cwd=folder, env={"DOCKER_HOST": "unix:///nothing"})
        assert result.returncode in set(ExitCode)
        assert "bug in localrun" not in result.stderr


def test_a_device_or_a_pipe_is_written_to_and_never_replaced(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    home = folder / ".localrun" / "tasks"
    home.mkdir(parents=True)
    (folder / "out").symlink_to("/dev/stdout")
    result = localrun("export", "out", cwd=folder)
    assert result.returncode == 0, result
    assert (folder / "out").is_symlink()
    with pytest.raises(OSError, match="not a regular file"), fs.atomic_file(pipe):
        raise AssertionError("not reached")
    result = localrun("build", ".", "-o", "pipe", cwd=folder)
    assert result.returncode in set(ExitCode) - {ExitCode.FINISHED}
    assert pipe.is_fifo()
