"""Settings files in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import localrun
from localrun.app import App
from localrun.engines.fake import FakeEngine
from localrun.errors import UsageError
from localrun.settings import load
from tests.manager.test_recovery import add
from tests.support.environment import DESCRIPTOR, IMAGE


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "localrun.toml").write_text(
        f'image = "{IMAGE}"\npull = "never"\ntimeout = "10m"\nhardened = true\ncache = "cache"\n'
        'ledger = "l.json"\n[inputs]\na = 3\nb = 4\n'
    )
    engine = FakeEngine(add)
    engine.add_image(IMAGE)
    return App(load({}), engine)


def test_run_takes_what_the_call_leaves_open_from_the_file(app: App) -> None:
    with localrun.using(app):
        assert localrun.run("descriptor.yml") == {"sum": 7}
        task = localrun.submit("descriptor.yml", b=10, timeout=60, hardened=False)
        task.wait()
        assert task.outputs == {"sum": 13}
        assert (task.info.timeout, task.info.run_plan.hardened) == (60, False)
        assert localrun.tasks()[-1].info.run_plan.hardened


def test_an_unknown_setting_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "localrun.toml").write_text("timeuot = 1")
    with pytest.raises(UsageError, match="did you mean 'timeout'"):
        localrun.submit("descriptor.yml")


def test_the_settings_are_read_again_for_each_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from localrun.api.apps import settings_for

    monkeypatch.chdir(tmp_path)
    assert settings_for().defaults.run == {}
    (tmp_path / "localrun.toml").write_text("timeout = 1")
    assert settings_for().defaults.run == {"timeout": 1}
