"""Trust in the settings of a project is bound to their content."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun import settings
from localrun.errors import UsageError
from localrun.settings import Settings
from localrun.settings.files import SettingsFile, find_project_file
from localrun.settings.trust import is_trusted, trust_entry, trust_folder


def found(folder: Path) -> SettingsFile:
    file = find_project_file(folder)
    assert file is not None
    return file


def trust(folder: Path, environ: dict[str, str]) -> None:
    store = trust_folder(environ)
    assert store is not None
    store.mkdir(parents=True, exist_ok=True)
    trust_entry(found(folder), store).write_text("")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path)}


def load(environ: dict[str, str]) -> Settings:
    return settings.load(environ)


def test_trust_ends_when_the_settings_change_and_not_with_a_comment(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool.localrun]\nnetwork = true")
    assert not is_trusted(found(tmp_path), environ)
    trust(tmp_path, environ)
    assert is_trusted(found(tmp_path), environ)
    file.write_text("[project]\nversion = '2'\n[tool.localrun]\nnetwork = true  # needed")
    assert is_trusted(found(tmp_path), environ)
    file.write_text("[tool.localrun]\nnetwork = true\nimage = 'other'")
    assert not is_trusted(found(tmp_path), environ)


def test_a_copy_elsewhere_is_not_trusted(tmp_path: Path, environ: dict[str, str]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "localrun.toml").write_text("network = true")
    trust(tmp_path / "a", environ)
    assert is_trusted(found(tmp_path / "a"), environ)
    assert not is_trusted(found(tmp_path / "b"), environ)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("network = true", "network"),
        ("context = '..'", "context"),
        ("dockerfile = '/etc/passwd'", "dockerfile"),
        ("[inputs]\na = '@/etc/passwd'", "inputs.a"),
        ("[inputs]\nmy-list = [1, '@../x']", "inputs.my-list"),
        ("[server]\nbundles = ['.', '..']", "server.bundles"),
    ],
)
def test_network_and_files_outside_need_trust(
    tmp_path: Path, environ: dict[str, str], text: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "localrun.toml").write_text(text)
    monkeypatch.chdir(project)
    defaults = load(environ).defaults
    assert list(defaults.blocked) == [key]
    with pytest.raises(UsageError) as caught:
        defaults.check_trusted([key])
    assert caught.value.remedy == f"if you trust the project: `localrun trust {project}`"
    trust(project, environ)
    assert load(environ).defaults.blocked == {}


def test_the_need_for_trust_is_reported_with_all_other_problems(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "localrun.toml").write_text(
        "network = true\ntimeot = 3\nhome = '..'\n[inputs]\na = '@/etc/passwd'"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="4 problems") as caught:
        load(environ)
    places = [(problem.line, problem.path) for problem in caught.value.problems]
    assert places == [(1, "network"), (2, "timeot"), (3, "home"), (5, "inputs.a")]
    assert "localrun trust" in caught.value.problems[0].remedy


def test_a_task_folder_outside_of_an_untrusted_project_is_refused_at_once(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "localrun.toml").write_text("home = '../other'")
    monkeypatch.chdir(project)
    with pytest.raises(UsageError) as caught:
        load(environ)
    assert "localrun trust" in caught.value.problems[0].remedy
    trust(project, environ)
    assert load(environ).home.resolve() == tmp_path / "other"


def test_the_file_of_the_user_needs_no_trust(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".config" / "localrun" / "localrun.toml"
    path.parent.mkdir(parents=True)
    path.write_text("network = true\n[inputs]\na = '@/etc/passwd'")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    defaults = load(environ).defaults
    assert defaults.run == {"network": True}
    assert defaults.blocked == {}


def test_closing_the_network_needs_no_trust(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "localrun.toml").write_text("network = false")
    monkeypatch.chdir(tmp_path)
    assert load(environ).defaults.blocked == {}
