"""`localrun init`: the folder of a new bundle or app, and the command that runs it."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.mark.parametrize("name", ["adder", "two words", "it's", "a&b", "$HOME"])
@pytest.mark.parametrize("profile", ["bundle", "iexec"])
def test_the_printed_command_can_be_pasted_into_a_shell(localrun: Command, name: str, profile: str) -> None:
    folder = localrun.folder / name
    result = localrun("init", folder, "--profile", profile)
    assert result.code == 0
    words = shlex.split(result.out.splitlines()[-1].removeprefix("run it: "))
    assert words[:3] == ["localrun", "run", str(folder)]
    assert Path(words[-1]).is_file()


def test_the_descriptor_names_its_schema_for_editors(localrun: Command) -> None:
    localrun("init", localrun.folder / "adder")
    first, second = (localrun.folder / "adder/descriptor.yml").read_text().splitlines()[:2]
    assert first == f"# yaml-language-server: $schema={second.removeprefix('$schema: ')}"


@pytest.mark.parametrize("profile", ["bundle", "iexec"])
def test_the_folder_is_a_project_of_its_own_for_pytest(localrun: Command, profile: str) -> None:
    localrun("init", localrun.folder / "My App", "--profile", profile)
    found = tomllib.loads((localrun.folder / "My App/pyproject.toml").read_text())
    assert found["project"]["name"] == "my-app"
    assert found["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]
    assert found["dependency-groups"]["dev"] == ["localrun-tasks[pytest]"]


def test_an_app_has_no_parameters(localrun: Command) -> None:
    options = ("--input", "a:integer", "--namespace", "com.example.x")
    result = localrun("init", localrun.folder / "app", "--profile", "iexec", *options)
    assert (result.code, "an iExec app has no --input or --namespace" in result.err) == (2, True)
    assert not (localrun.folder / "app").exists()
    packages = localrun("init", localrun.folder / "app", "--profile", "iexec", "--with", "numpy")
    assert packages.code == 0
    assert (localrun.folder / "app/requirements.txt").read_text() == "numpy\n"
