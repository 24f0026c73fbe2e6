"""Settings files: where they are found, what they may contain, and their place in the order of precedence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from localrun import settings
from localrun.errors import Problem, UsageError
from localrun.settings import Settings
from localrun.settings.model import FIELDS
from localrun.settings.options import LOCAL_PARSERS, PARSERS, SERVER_PARSERS
from localrun.task.options import RunOptions


@pytest.fixture(autouse=True)
def _in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    (folder / "below").mkdir(parents=True)
    monkeypatch.chdir(folder)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def load(tmp_path: Path, user: str = "", environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    """Load the settings, for a user with this settings file."""
    if user:
        write(f"{tmp_path}/config/localrun/localrun.toml", user)
    places = {"XDG_CONFIG_HOME": f"{tmp_path}/config", "XDG_DATA_HOME": f"{tmp_path}/data"}
    return settings.load({**places, **(environ or {})}, **arguments)


def problems(tmp_path: Path, user: str = "") -> list[Problem]:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, user)
    return list(caught.value.problems)


def test_an_option_comes_before_a_variable_the_project_the_user_and_the_default(tmp_path: Path) -> None:
    write("localrun.toml", "grace = 2\nstall = 20\nkeep = 3")
    user = "grace = 1\nstall = 10\npids_limit = 100"
    environ = {"LOCALRUN_GRACE": "3", "LOCALRUN_STALL": "30"}
    made = load(tmp_path, user, environ, stall=40)
    assert (made.stall, made.grace, made.keep, made.pids_limit, made.log_limit) == (40, 3, 3, 100, 2**26)
    assert made.defaults.origins == {
        "stall": "option",
        "grace": "LOCALRUN_GRACE",
        "keep": f"{Path.cwd()}/localrun.toml:3",
        "pids_limit": f"{tmp_path}/config/localrun/localrun.toml:3",
    }


def test_options_of_tasks_and_servers_have_the_same_order(tmp_path: Path) -> None:
    write("localrun.toml", "timeout = '2m'\nretries = 2\n[server]\nport = 2\n[build_args]\nA = 'project'")
    user = "timeout = '1m'\nretries = 1\ncpus = 1\n[server]\nport = 1\ntoken = 'x'\n"
    user += "[build_args]\nA = 'u'\nB = 'u'"
    made = load(tmp_path, user, {"LOCALRUN_TIMEOUT": "3m", "LOCALRUN_SERVER_PORT": "3"}).defaults
    assert made.run == {"timeout": 180, "retries": 2, "cpus": 1, "build_args": {"A": "project", "B": "u"}}
    assert made.server == {"port": 3, "token": "x"}
    assert made.origins["timeout"] == "LOCALRUN_TIMEOUT"
    assert made.origins["build_args.B"].endswith("/localrun/localrun.toml:9")


def test_the_nearest_folder_with_settings_wins_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("localrun.toml", "grace = 2\nkeep = 2")
    write("below/pyproject.toml", "[tool.localrun]\ngrace = 1")
    assert (load(tmp_path).grace, load(tmp_path).keep) == (2, 2)
    monkeypatch.chdir("below")
    assert (load(tmp_path).grace, load(tmp_path).keep) == (1, None)


def test_localrun_toml_comes_before_pyproject_toml(tmp_path: Path) -> None:
    write("pyproject.toml", "[tool.localrun]\ngrace = 1\nkeep = 1")
    assert load(tmp_path).grace == 1
    write("localrun.toml", "grace = 2")
    assert (load(tmp_path).grace, load(tmp_path).keep) == (2, None)


@pytest.mark.parametrize(
    "text",
    [
        "[tool.localrun]\ngrace = 1",
        "[tool]\nlocalrun.grace = 1",
        "[tool]\nlocalrun = {grace = 1}",
        '[tool."localrun"]\ngrace = 1',
        "[ tool . localrun ]\ngrace = 1",
    ],
)
def test_the_table_of_pyproject_is_found_in_each_way_to_write_it(tmp_path: Path, text: str) -> None:
    write("pyproject.toml", text)
    assert load(tmp_path).grace == 1


@pytest.mark.parametrize(("name", "head"), [("localrun.toml", ""), ("pyproject.toml", "[tool.localrun]\n")])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, name: str, head: str) -> None:
    Path(name).write_text(f"{head}grace = 4", encoding="utf-8-sig")
    assert load(tmp_path).grace == 4


def test_a_pyproject_without_settings_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("localrun.toml", "grace = 2")
    write("below/pyproject.toml", "this is [ not TOML, and has no settings")
    monkeypatch.chdir("below")
    assert load(tmp_path).grace == 2
    write("pyproject.toml", '[project.scripts]\nlocalrun = "localrun.cli:main"')
    assert load(tmp_path).grace == 2


def test_no_file_is_read_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("pyproject.toml", "[tool.other]\ngrace = 1")
    monkeypatch.setitem(__import__("sys").modules, "tomllib", None)  # importing it would fail
    assert load(tmp_path).grace == 10
    assert settings.load({}).grace == 10


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        home = "tasks"
        dockerfile = "docker/Dockerfile"
        context = "."
        mounts = ["src:/app", "data:/data:rw"]
        [inputs]
        image = "@scan.png"
        text = "plain"
        escaped = "@@text"
        images = ["@a.png", {file = "@b.png", crop = "@c.geojson"}]
        [server]
        bundles = ["tasks", "more"]
        logs = "x"
    """.replace("        logs", "        #")
    write("localrun.toml", text)
    folder = Path.cwd()
    monkeypatch.chdir("below")
    made = load(tmp_path)
    assert made.home == folder / "tasks"
    run, inputs = made.defaults.run, made.defaults.inputs
    assert run["dockerfile"] == f"{folder}/docker/Dockerfile"
    assert Path(run["context"]) == folder
    assert run["mounts"] == [f"{folder}/src:/app", f"{folder}/data:/data:rw"]
    assert inputs["image"] == f"@{folder}/scan.png"
    assert (inputs["text"], inputs["escaped"]) == ("plain", "@@text")
    assert inputs["images"] == [
        f"@{folder}/a.png",
        {"file": f"@{folder}/b.png", "crop": f"@{folder}/c.geojson"},
    ]
    assert made.defaults.server == {"bundles": [f"{folder}/tasks", f"{folder}/more"]}


def test_hyphens_and_a_table_of_limits_are_understood(tmp_path: Path) -> None:
    write(
        "localrun.toml", "pids-limit = 20\nbuild-args = {A = 3, B = true}\n[limits]\nmemory = '1Gi'\ncpus = 2"
    )
    made = load(tmp_path)
    assert made.pids_limit == 20
    assert made.defaults.run == {"build_args": {"A": "3", "B": "true"}, "memory": 2**30, "cpus": 2}


def test_all_problems_are_reported_at_once_with_file_line_and_suggestion(tmp_path: Path) -> None:
    write(
        "localrun.toml",
        "graze = 3\npids_limit = 1\ntimeout = 'soon'\nport = 3\n[server]\nprot = 1\n[limits]\ncpu = 2",
    )
    found = problems(tmp_path, "retires = 1")
    project, user = f"{Path.cwd()}/localrun.toml", f"{tmp_path}/config/localrun/localrun.toml"
    places = [(one.path, Path(one.file) == Path(project), one.line) for one in found]
    assert sorted(places) == sorted(
        [
            ("graze", True, 1),
            ("pids_limit", True, 2),
            ("timeout", True, 3),
            ("port", True, 4),
            ("server.prot", True, 6),
            ("limits.cpu", True, 8),
            ("retires", False, 1),
        ]
    )
    hints = {one.path: one.remedy for one in found}
    assert hints["graze"] == "did you mean 'grace'?"
    assert hints["port"] == "write it into the table [server]"
    assert hints["server.prot"] == "did you mean 'port'?"
    assert hints["limits.cpu"] == "did you mean 'cpus'?"
    assert hints["retires"] == "did you mean 'retries'?"
    assert {one.file for one in found} == {project, user}


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("grace = ", "invalid TOML: invalid value", (1, 1)),
        ("a = 1\na = 2", "invalid TOML: cannot overwrite a value", (2, 1)),
        ("server = 3", "expected a table, found 3", (1, 1)),
        ("grace = 1\n'grace' = 2", "invalid TOML: cannot overwrite a value", (2, 1)),
        ("pids-limit = 20\npids_limit = 20", "set twice", (2, 1)),
        ("network = 1", "expected true or false, found 1", (1, 1)),
        ("mounts = ['a']", "'a' is not SRC:DST or SRC:DST:rw, with an absolute DST", (1, 1)),
        ("build_args = ['A=1']", "expected a table of strings, found ['A=1']", (1, 1)),
        ("timeout = 1979-05-27", "expected a number above 0, found datetime.date(1979, 5, 27)", (1, 1)),
        ("grace = 1979-05-27", None, (1, 1)),
        ("x = " + "[" * 5000, "invalid TOML: nested too deeply", (0, 0)),
    ],
)
def test_a_mistake_in_a_file_has_its_place(
    tmp_path: Path, text: str, message: str | None, place: tuple[int, int]
) -> None:
    write("localrun.toml", text)
    (found,) = problems(tmp_path)
    assert message is None or found.message == message
    assert (found.line, found.column) == place
    assert found.file == f"{Path.cwd()}/localrun.toml"


@pytest.mark.parametrize("kind", ["folder", "pipe", "broken link", "latin-1", "huge"])
def test_a_file_that_cannot_be_read_is_a_problem_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = Path("localrun.toml")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "broken link":
        path.symlink_to("nothing")
    else:
        path.write_bytes(b"# \xe9" if kind == "latin-1" else b"#" * (2**20 + 1))
    (found,) = problems(tmp_path)
    assert (
        found.message
        == {
            "folder": "not a regular file",
            "pipe": "not a regular file",
            "broken link": "cannot read the file: No such file or directory",
            "latin-1": "the file is not UTF-8",
            "huge": "larger than 1048576 bytes",
        }[kind]
    )


@pytest.mark.parametrize(
    "text",
    [
        "docker_host = 'tcp://evil:1'",
        "docker-host = 'tcp://evil:1'",
        "docker_context = 'x'",
        "docker_config = 'x'",
        "docker_cert_path = 'x'",
        "docker_tls = true",
        "container_host = 'x'",
        "runtime_dir = 'x'",
        "build_secrets = {a = 'src=/etc/shadow'}",
        "[build_secrets]\na = 'env=TOKEN'",
        "[server]\ntoken = 'x'",
        "[server]\nhost = '0.0.0.0'",
        "[server]\nnames = ['evil.example']",
    ],
)
def test_a_project_sets_neither_engine_nor_host_token_or_secrets(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("localrun.toml", text)
    (found,) = problems(tmp_path)
    assert found.message == "not allowed in the settings of a project"
    assert f"{tmp_path}/config/localrun/localrun.toml" in found.remedy
    monkeypatch.setenv("TOKEN", "x")
    Path("localrun.toml").unlink()
    load(tmp_path, text)  # but the user does


@pytest.mark.parametrize(
    "source", ["/etc", "..", "below/../..", "link", "~", "below:/../../etc", "link/below"]
)
def test_the_mounts_of_a_project_lie_below_its_folder(tmp_path: Path, source: str) -> None:
    Path("link").symlink_to("/usr")
    write("localrun.toml", f"mounts = ['{source}:/app']")
    (found,) = problems(tmp_path)
    assert "a project can only mount its own files" in found.message
    assert found.line == 1


def test_a_project_mounts_its_own_files_also_through_links(tmp_path: Path) -> None:
    Path("link").symlink_to("below")
    write("localrun.toml", "mounts = ['link:/app', './below:/b:rw', '.:/all']")
    assert len(load(tmp_path).defaults.run["mounts"]) == 3


def test_the_user_mounts_any_path(tmp_path: Path) -> None:
    assert load(tmp_path, "mounts = ['/etc:/app']").defaults.run["mounts"] == ["/etc:/app"]


def test_every_option_of_a_run_can_be_set_in_a_file() -> None:
    # set by localrun itself, by inputs of iExec, or under another name
    others = {"command", "environment", "hostname", "detached", "callback", "build_secret_ids", "bind_mounts"}
    assert set(RunOptions.__struct_fields__) - others <= {*PARSERS, *LOCAL_PARSERS}
    assert not {*FIELDS} & {*PARSERS, *LOCAL_PARSERS}  # a key means one thing


def test_every_option_of_the_server_can_be_set_in_a_file() -> None:
    from localrun.cli.serve import command

    options = {parameter.name for parameter in command.params} - {"logs", "opens"} | {"open"}
    assert options == set(SERVER_PARSERS)


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("LOCALRUN_TIMEOUT", "90", "timeout", 90),
        ("LOCALRUN_CPUS", "0.5", "cpus", 0.5),
        ("LOCALRUN_MEMORY", "2Gi", "memory", 2**31),
        ("LOCALRUN_NETWORK", "1", "network", True),
        ("LOCALRUN_NETWORK", "false", "network", False),
        ("LOCALRUN_RETRIES", "1", "retries", 1),
        ("LOCALRUN_TARGET", "1", "target", "1"),
        ("LOCALRUN_DOCKERFILE", "Docker", "dockerfile", f"{os.sep}Docker"),
    ],
)
def test_an_option_with_one_value_is_a_variable_too(
    tmp_path: Path, variable: str, text: str, key: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    assert load(tmp_path, environ={variable: text}).defaults.run == {key: value}


def test_an_invalid_variable_of_an_option_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(
            tmp_path, environ={"LOCALRUN_CPUS": "many", "LOCALRUN_SERVER_PORT": "-1", "LOCALRUN_NETWORK": "2"}
        )
    found = [problem.path for problem in caught.value.problems]
    assert sorted(found) == ["LOCALRUN_CPUS", "LOCALRUN_NETWORK", "LOCALRUN_SERVER_PORT"]


def test_the_token_is_not_shown_with_the_settings(tmp_path: Path) -> None:
    assert "hunter22" not in repr(load(tmp_path, environ={"LOCALRUN_TOKEN": "hunter22"}))


def test_an_engine_from_a_variable_replaces_the_one_of_the_user_as_a_whole(tmp_path: Path) -> None:
    user = "docker_host = 'tcp://user:1'\ncontainer_host = 'unix:///p'"
    assert load(tmp_path, user).docker_host == "tcp://user:1"
    made = load(tmp_path, environ={"DOCKER_CONTEXT": "other"})
    assert (made.docker_host, made.docker_context, made.container_host) == (None, "other", "unix:///p")
