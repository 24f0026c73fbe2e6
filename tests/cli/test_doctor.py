from __future__ import annotations

from pathlib import Path

import pytest

from localrun.app import App
from localrun.errors import EngineUnreachable
from localrun.settings import Settings
from tests.cli.command import Command, Process


def tree(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*"))


def test_every_check_is_shown_and_all_is_well(localrun: Command) -> None:
    result = localrun("doctor")
    assert "fail    " not in result.out
    assert result.code == 0
    for section in ("settings", "software", "engine", "machine", "folders", "leftovers"):
        assert f"\n{section}\n" in f"\n{result.out}"
    assert result.out.splitlines()[-1].endswith("0 fail")


def test_the_checks_are_one_json_record(localrun: Command) -> None:
    found = localrun("doctor", "--json").json
    assert found["ok"] is True
    assert set(found["checks"][0]) == {"section", "name", "status", "message", "remedy", "facts"}
    assert {"engine", "limits", "memory", "disk", "home", "ledger", "containers"} <= {
        c["name"] for c in found["checks"]
    }


def test_nothing_is_changed(localrun: Command) -> None:
    localrun.run()
    before = tree(localrun.folder)
    localrun("doctor")
    assert tree(localrun.folder) == before


def test_settings_that_do_not_fit_are_all_told_and_the_rest_is_looked_at(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_GRACE", "soon")
    monkeypatch.setenv("LOCALRUN_DISK_LIMIT", "200")
    monkeypatch.setenv("LOCALRUN_HOEM", "/x")
    result = localrun("doctor")
    assert result.code == 8
    assert "hint: correct it, or `unset LOCALRUN_GRACE`" in result.out
    assert "LOCALRUN_DISK_LIMIT" in result.out
    assert "did you mean 'LOCALRUN_HOME'?" in result.out
    assert "2 fail" in result.out.splitlines()[-1]
    assert "leftovers" in result.out


def test_without_an_engine_it_fails_and_says_all_else(localrun: Command) -> None:
    class Away(App):
        @property
        def engine(self) -> object:  # type: ignore[override]
            raise EngineUnreachable("no container engine answers at nowhere", remedy="start it")

    localrun.app = lambda settings: Away(settings)  # type: ignore[method-assign]  # noqa: PLW0108
    result = localrun("doctor")
    assert result.code == 8
    assert "  fail  engine " in result.out
    assert "hint: start it" in result.out
    assert "  ok    home " in result.out


def test_a_secret_in_a_setting_is_not_shown(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALRUN_DOCKER_HOST", "tcp://user:hunter22@host:1")
    assert "hunter22" not in localrun("doctor", "--json").out


@pytest.mark.docker
def test_the_real_engine_is_looked_at_in_no_time(tmp_path: Path) -> None:
    with Process("doctor", "--json", cwd=tmp_path) as process:
        found = process.result(60).json
    engine = {check["name"]: check for check in found["checks"] if check["section"] == "engine"}
    assert engine["engine"]["facts"]["address"].startswith(("unix://", "tcp://"))
    assert engine["storage"]["facts"]["driver"]
    assert engine["limits"]["facts"]["cgroups"] in ("1", "2")
    assert abs(engine["clock"]["facts"]["seconds"]) < 60
    assert list(tmp_path.iterdir()) == []


def test_an_engine_at_a_wrong_address_is_told_by_the_command_itself(tmp_path: Path) -> None:
    with Process("doctor", cwd=tmp_path, env={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}) as process:
        result = process.result(60)
    assert result.code == 8
    assert "DOCKER_HOST" in result.out


def test_settings_is_still_what_the_doctor_knows() -> None:
    from localrun.cli.doctor import _names

    assert {f"LOCALRUN_{field.upper()}" for field in Settings.__struct_fields__} == _names()
