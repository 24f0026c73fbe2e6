"""`localrun doctor --report`: what a bug report needs, without secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from localrun.engines.fake import FakeContainer
from tests.cli.command import Command


@pytest.fixture(autouse=True)
def _own_folder(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (localrun.folder / "here").mkdir()
    monkeypatch.chdir(localrun.folder / "here")


def fail(container: FakeContainer) -> int:
    container.stdout.write("connecting with password=hunter2222\nusing tk-0123456789\n```\n")
    return 3


def test_the_report_has_versions_checks_settings_and_the_latest_failure(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_GRACE", "3")
    localrun.run()
    localrun.program = fail
    localrun.run()
    result = localrun("doctor", "--report")
    assert result.code == 0
    assert result.out == f"wrote {Path('localrun-report.md').absolute()}; read it before you share it\n"
    text = Path("localrun-report.md").read_text()
    assert Path("localrun-report.md").stat().st_mode & 0o077 == 0
    for part in (
        "# localrun report",
        "Python 3.",
        "settings  ok   grace: 3.0 (LOCALRUN_GRACE)",
        "engine    ok   engine: ",
        "LOCALRUN_GRACE=3",
        "FINISHED",
        "## Latest task that failed: ",
        '"cause": "EXIT_NONZERO"',
        '"a": "int"',
        "### Events",
        "state RUNNING",
        "### End of the log",
    ):
        assert part in text, part


def test_secrets_and_values_are_not_in_the_report(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALRUN_TOKEN", "server-secret-1")
    monkeypatch.setenv("MY_API_TOKEN", "tk-0123456789")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:proxy-secret@proxy:3128")
    monkeypatch.setenv("HOME", f"{localrun.folder}/private-name")
    Path("localrun.toml").write_text("[build_args]\nPIP_PASSWORD = 'build-secret'\n")
    localrun.program = fail
    localrun.run(values="4711 1")
    text = localrun("doctor", "--report", "-").out
    assert "# localrun report" in text
    for secret in (
        *("server-secret-1", "tk-0123456789", "proxy-secret", "build-secret", "hunter2222"),
        *("4711", "private-name"),
    ):
        assert secret not in text, secret
    assert "HTTPS_PROXY=http://me:***@proxy:3128" in text


def test_the_log_cannot_end_its_block(localrun: Command) -> None:
    localrun.program = fail
    localrun.run()
    assert "````text\nconnecting" in localrun("doctor", "--report", "-").out


def test_the_report_is_also_named_in_json_and_written_if_a_check_fails(
    localrun: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALRUN_GRACE", "soon")
    result = localrun("doctor", "--json", "--report", "bug.md")
    assert result.code == 8
    assert result.json["report"] == str(Path("bug.md").absolute())
    assert "invalid value 'soon'" in Path("bug.md").read_text()


def test_a_report_that_cannot_be_written_is_an_error(localrun: Command) -> None:
    result = localrun("doctor", "--report", "nowhere/bug.md")
    assert result.code == 2
    assert "cannot write nowhere/bug.md" in result.err
    assert os.listdir() == []  # noqa: PTH208 - names
