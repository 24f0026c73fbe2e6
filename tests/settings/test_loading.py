from __future__ import annotations

from pathlib import Path

import pytest

from localrun.errors import UsageError
from localrun.settings import load


def test_an_argument_comes_before_the_environment_and_that_before_the_default(tmp_path: Path) -> None:
    environ = {"LOCALRUN_GRACE": "3", "LOCALRUN_HOME": str(tmp_path / "env")}
    settings = load(environ, home=tmp_path / "argument", docker_host=None)
    assert settings.home == tmp_path / "argument"
    assert settings.grace == 3
    assert settings.pids_limit == 4096


def test_folders_become_absolute_so_that_a_change_of_folder_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}).home == tmp_path / ".localrun"


def test_docker_host_is_taken_from_dockers_own_variable() -> None:
    assert load({"DOCKER_HOST": "tcp://127.0.0.1:1"}).docker_host == "tcp://127.0.0.1:1"
    both = {"DOCKER_HOST": "tcp://127.0.0.1:1", "LOCALRUN_DOCKER_HOST": "unix:///x"}
    assert load(both).docker_host == "unix:///x"


def test_the_cache_follows_the_desktop_standard(tmp_path: Path) -> None:
    assert load({"XDG_CACHE_HOME": str(tmp_path)}).cache == tmp_path / "localrun"


def test_every_value_that_does_not_fit_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        load({"LOCALRUN_GRACE": "soon", "LOCALRUN_PIDS_LIMIT": "1"})
    assert [problem.path for problem in caught.value.problems] == ["LOCALRUN_GRACE", "LOCALRUN_PIDS_LIMIT"]
    assert "'soon'" in str(caught.value)


def test_dockers_own_folder_is_used_unless_another_one_is_set() -> None:
    assert load({"DOCKER_CONFIG": "/d"}).docker_config == Path("/d")
    assert load({"DOCKER_CONFIG": "/d", "LOCALRUN_DOCKER_CONFIG": "/l"}).docker_config == Path("/l")


def test_an_unknown_builder_is_refused() -> None:
    assert load({"LOCALRUN_BUILDER": "classic"}).builder == "classic"
    with pytest.raises(UsageError) as raised:
        load({"LOCALRUN_BUILDER": "kaniko"})
    assert raised.value.problems[0].path == "LOCALRUN_BUILDER"
