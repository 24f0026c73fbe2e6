"""Settings files on the command line: `run`, `build`, `serve`, `doctor` and `trust`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localrun.server.config import ServerOptions
from tests.cli.command import Command, Result
from tests.support.environment import IMAGE


@pytest.fixture(autouse=True)
def _in_the_project(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    project = localrun.folder / "project"
    project.mkdir()
    monkeypatch.chdir(project)


def stored(result: Result) -> Any:
    """Return the record of a run with `--json`."""
    assert result.code == 0, result.err
    return json.loads(Path(result.json["folder"], "task.json").read_bytes())


def record(localrun: Command, *arguments: object) -> Any:
    return stored(localrun("run", localrun.bundle, "--json", *arguments))


def test_a_run_takes_what_its_options_leave_open_from_the_file(localrun: Command) -> None:
    Path("localrun.toml").write_text(
        f'image = "{IMAGE}"\npull = "never"\ntimeout = "10m"\nretries = 2\n'
        '[limits]\nmemory = "1Gi"\n[inputs]\na = 3\nb = 4\n'
    )
    found = record(localrun)
    assert found["outputs"] == {"sum": 7}
    assert (found["timeout"], found["resources"]["memory"], found["plan"]["retries"]) == (600, 2**30, 2)
    found = record(localrun, "-i", "a=5", "--timeout", "5m", "--memory", "512Mi", "--retries", "0")
    assert found["outputs"] == {"sum": 9}
    assert (found["timeout"], found["resources"]["memory"], found["plan"]["retries"]) == (300, 2**29, 0)


def test_a_file_of_inputs_comes_before_the_inputs_of_the_settings(localrun: Command) -> None:
    Path("localrun.toml").write_text(f'image = "{IMAGE}"\npull = "never"\n[inputs]\na = 3\nb = 4\n')
    Path("given").mkdir()
    Path("given/b").write_text("10")
    assert record(localrun, "--inputs", "given")["outputs"] == {"sum": 13}


def test_an_input_that_the_bundle_does_not_have_is_a_warning_with_its_line(localrun: Command) -> None:
    Path("localrun.toml").write_text("[inputs]\nc = 4\n")
    result = localrun.run()
    assert result.code == 0
    place = f"{Path.cwd()}/localrun.toml:2"
    assert f"{place}: unknown input 'c' is ignored; expected one of: a, b" in result.err


def test_the_mounts_of_the_file_are_completed_by_the_option(localrun: Command) -> None:
    for name in ("src", "data", "other"):
        Path(name).mkdir()
    Path("localrun.toml").write_text('mounts = ["src:/app", "data:/data:rw"]\n')
    result = localrun.run("--json", "--mount", "other:/data")
    folder = Path.cwd()
    found = stored(result)["plan"]["bind_mounts"]
    assert [(one["source"], one["target"]) for one in found] == [
        (f"{folder}/src", "/app"),
        (f"{folder}/other", "/data"),
    ]


def test_the_network_of_a_project_needs_trust_once(localrun: Command) -> None:
    Path("localrun.toml").write_text("network = true\n")
    result = localrun.run()
    assert result.code == 2
    assert "localrun.toml:1:1 network: the settings of this project open the network" in result.err
    assert f"hint: if you trust the project: `localrun trust {Path.cwd()}`" in result.err
    assert localrun.run("--no-network").code == 0
    assert localrun.run("--network").code == 0
    assert localrun("list").code == 0

    trusted = localrun("trust", Path.cwd())
    assert trusted.code == 0
    assert "network: the settings of this project open the network" in trusted.out
    assert stored(localrun.run("--json"))["network"] is True

    Path("localrun.toml").write_text("network = true\nimage = 'other'\n")
    assert localrun.run().code == 2


def test_trust_is_listed_and_removed(localrun: Command) -> None:
    path = Path("localrun.toml").absolute()
    path.write_text("network = true\n")
    assert localrun("trust", "--list", "--json").json == []
    assert localrun("trust", "--json").json == {"path": str(path), "trusted": True}
    assert localrun("trust", "--list").out == f"trusted  {path}\n"
    path.write_text("network = false\n")
    assert localrun("trust", "--list", "--json").json == [{"path": str(path), "state": "changed"}]
    localrun("trust")
    assert len(localrun("trust", "--list", "--json").json) == 1
    path.unlink()
    assert localrun("trust", "--list", "--json").json == [{"path": str(path), "state": "gone"}]
    assert localrun("trust", "--remove", Path.cwd()).code == 0
    assert localrun("trust", "--list", "--json").json == []
    result = localrun("trust", "--remove")
    assert result.code == 2
    assert "is trusted" in result.err


def test_trust_without_a_settings_file_says_what_is_expected(localrun: Command) -> None:
    result = localrun("trust", "/")
    assert result.code == 2
    assert "no settings file found in or above /" in result.err
    assert localrun("trust", "--list", "--remove").code == 2


def test_unknown_settings_stop_every_command_with_all_problems(localrun: Command) -> None:
    Path("localrun.toml").write_text("graze = 3\nretires = 1\n")
    result = localrun("list")
    assert result.code == 2
    assert "invalid settings (2 problems)" in result.err
    assert "localrun.toml:1:1 graze: unknown setting; did you mean 'grace'?" in result.err
    assert "localrun.toml:2:1 retires: unknown setting; did you mean 'retries'?" in result.err


def test_doctor_shows_each_value_with_its_origin(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("localrun.toml").write_text("grace = 3\nnetwork = true\n[inputs]\na = 3\n[build_args]\nA = 'x'\n")
    user = localrun.folder / "config" / "localrun" / "localrun.toml"
    user.parent.mkdir(parents=True)
    user.write_text("stall = 20\n[server]\ntoken = 'hunter22hunter22'\n")
    monkeypatch.setenv("LOCALRUN_TIMEOUT", "90s")
    result = localrun("doctor", "--json")
    checks = {one["name"]: one for one in result.json["checks"] if one["section"] == "settings"}
    project = f"{Path.cwd()}/localrun.toml"
    origins = {name: one["facts"]["origin"] for name, one in checks.items() if "origin" in one["facts"]}
    expected = {
        "home": "option",
        "cache": "LOCALRUN_CACHE",
        "timeout": "LOCALRUN_TIMEOUT",
        "grace": f"{project}:1",
        "network": f"{project}:2",
        "inputs.a": f"{project}:4",
        "build_args.A": f"{project}:6",
        "stall": f"{user}:1",
        "server.token": f"{user}:3",
    }
    assert {name: origins.get(name) for name in expected} == expected
    assert checks["grace"]["facts"]["value"] == 3
    assert checks["grace"]["message"] == f"3.0 ({project}:1)"
    assert checks["network"]["status"] == "warn"
    assert "localrun trust" in checks["network"]["remedy"]
    assert checks["defaults"]["facts"]["pids_limit"] == 4096
    assert "hunter22" not in result.out


def test_doctor_warns_of_a_file_of_the_user_with_another_name(localrun: Command) -> None:
    folder = localrun.folder / "config" / "localrun"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("grace = 3\n")
    result = localrun("doctor")
    assert f"{folder}/config.toml is not read" in result.out
    assert f"hint: move its settings to {folder}/localrun.toml" in result.out


def test_doctor_reports_an_invalid_file_and_looks_at_the_rest(localrun: Command) -> None:
    Path("localrun.toml").write_text("grace = 'soon'\ntimeuot = 3\n")
    result = localrun("doctor")
    assert result.code == 8
    assert f"{Path.cwd()}/localrun.toml:1:1: invalid value 'soon'" in result.out
    assert "hint: did you mean 'timeout'?" in result.out
    assert "leftovers" in result.out


def test_build_options_of_the_file_apply_to_commands_that_build(localrun: Command) -> None:
    Path("localrun.toml").write_text(f'image = "{IMAGE}"\n')
    assert localrun("inspect", localrun.bundle).code == 0  # without an image, this bundle is incomplete
    assert IMAGE in localrun("inspect", localrun.bundle).out


def test_the_options_of_the_server_come_from_the_file(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("localrun.toml").write_text(
        '[server]\nport = 8765\non_exit = "leave"\nheartbeat = "1m"\n'
        'bundles = ["more"]\nupload_limit = "1Mi"\n'
    )
    Path("more").mkdir()
    monkeypatch.setenv("LOCALRUN_TOKEN", "hunter22")
    seen: list[Any] = []

    def listen(host: str, port: int) -> list[Any]:
        seen.append((host, port))
        return []

    def start(_context: Any, _app: Any, chosen: ServerOptions, *_: Any, **__: Any) -> int:
        seen.append(chosen)
        return 0

    monkeypatch.setattr("localrun.server.sockets.listen", listen)
    monkeypatch.setattr("localrun.cli.serve._start", start)
    assert localrun("serve", "--on-exit", "kill").code == 0
    (address, chosen) = seen
    assert address == ("127.0.0.1", 8765)
    assert (chosen.on_exit, chosen.heartbeat, chosen.upload_limit) == ("kill", 60, 2**20)
    assert (chosen.token, chosen.bundles) == ("hunter22", (Path("more").absolute(),))


def test_a_folder_of_bundles_that_does_not_exist_is_an_error_with_its_line(localrun: Command) -> None:
    Path("localrun.toml").write_text('[server]\nbundles = ["nowhere"]\n')
    result = localrun("serve")
    assert result.code == 2
    assert f"{Path.cwd()}/localrun.toml:2: no such folder" in result.err


def test_an_iexec_app_gets_its_profile_and_inputs_from_the_file(localrun: Command) -> None:
    Path("data.csv").write_text("1,2")
    Path("localrun.toml").write_text(
        'profile = "iexec"\npull = "never"\n[inputs]\nargs = "--fast"\ninput_files = ["@data.csv"]\n'
    )

    def program(container: Any) -> int:
        assert container.spec.environment["IEXEC_INPUT_FILES_NUMBER"] == "1"
        computed = '{"deterministic-output-path": "/iexec_out"}'
        container.path("/iexec_out/computed.json").write_text(computed)
        return 0

    localrun.program = program
    result = localrun("run", IMAGE, "--json")
    assert result.code == 0, result.err
    assert stored(result)["plan"]["command"] == ["--fast"]
    assert localrun("run", localrun.bundle, "--profile", "bundle", "--image", IMAGE, "-i", "a=1").code == 3


def test_secrets_of_an_iexec_app_are_not_settings(localrun: Command) -> None:
    Path("localrun.toml").write_text('profile = "iexec"\n[inputs]\napp_secret = "hunter22"\n')
    result = localrun("run", IMAGE)
    assert result.code == 2
    assert "pass it as an option: `--app-secret @FILE`" in result.err
    assert "hunter22" not in result.err


def test_an_invalid_file_shows_nothing_in_a_line_that_is_being_completed(localrun: Command) -> None:
    localrun.run()
    Path("localrun.toml").write_text("graze = 3\n")
    home = f"--home {localrun.folder / 'home'}"
    for line in ("status ", "list-files last ", f"run {localrun.bundle} -i "):
        result = localrun("completion", "bash", "--line", f"localrun {home} {line}")
        assert (result.code, result.out, result.err) == (0, "", "")
