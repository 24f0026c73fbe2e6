"""`localrun validate --profile iexec`: an app is checked before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command
from tests.support.images import image_archive, tar_of

RUN = b"#!/bin/sh\necho\n"
SHELL = b"\x7fELF" + bytes(60)


def app(folder: Path, files: dict[str, bytes], *, mode: int = 0o755, **config: Any) -> Path:
    path = folder / "app.tar"
    layer = tar_of({"bin/sh": SHELL, **files}, mode=mode)
    path.write_bytes(image_archive(layer, "me/app:1", **{"Cmd": ["/app/run"], **config}))
    return path


def test_an_app_that_a_worker_could_start_is_accepted(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN}, Entrypoint=["/app/run"], Cmd=["--slow"])
    result = localrun("validate", path, "--profile", "iexec", "--args", "a 'b c'")
    assert result.code == 0
    assert result.out == f"an iExec worker could start {path}; `localrun run` checks its result\n"
    found = localrun("validate", path, "--profile", "iexec", "--json").json
    assert (found["platform"], found["accepted"], found["findings"]) == ("iExec", True, [])


@pytest.mark.parametrize(
    ("files", "config", "words"),
    [
        ({}, {}, "the program '/app/run' is not in the image"),
        ({"app/run": RUN.replace(b"/bin/sh", b"/bin/bash")}, {}, "the interpreter /bin/bash"),
        ({"app/run": b"echo\n"}, {}, "an iExec worker would fail: '/app/run' is a script without"),
        (
            {"iexec_in/run": RUN},
            {"Cmd": ["/iexec_in/run"]},
            "is hidden: an empty folder is mounted over /iexec_in",
        ),
        ({"app/run": RUN}, {"User": "me"}, "the USER 'me' of the image is not in its /etc/passwd"),
        ({"app/run": RUN}, {"Cmd": []}, "the image has neither ENTRYPOINT nor CMD"),
    ],
)
def test_what_a_worker_could_not_start_is_found(
    localrun: Command, files: dict[str, bytes], config: dict[str, Any], words: str
) -> None:
    path = app(localrun.folder, files, **config)
    result = localrun("validate", path, "--profile", "iexec")
    assert result.code == 3
    assert words in result.out
    assert f"an iExec worker could not run {path}: " in result.out
    assert "App Engine" not in result.out


def test_a_program_that_is_not_executable_is_found(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN}, mode=0o644)
    assert "'/app/run' is not executable" in localrun("validate", path, "--profile", "iexec").out


def test_a_variable_of_the_worker_in_the_image_is_a_warning(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN}, Env=["IEXEC_OUT=/out", "PATH=/bin"])
    result = localrun("validate", path, "--profile", "iexec")
    assert result.code == 0
    assert "the image sets IEXEC_OUT, which the worker replaces" in result.out
    assert localrun("validate", path, "--profile", "iexec", "--strict").code == 3


def test_invalid_inputs_of_the_app_are_found_too(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN})
    given = ("--args", "'open", "--input-file", localrun.folder / "nowhere.csv")
    result = localrun("validate", path, "--profile", "iexec", *given)
    assert result.code == 3
    assert "unclosed quote" in result.err
    assert "nowhere.csv" in result.err
    assert localrun("validate", path, *given).code == 2  # only for an app


def test_an_app_needs_no_descriptor_and_a_bundle_does(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN})
    assert (
        localrun("validate", path, "--profile", "iexec", "--format", "junit").out.count('failures="0"') == 1
    )
    assert localrun("validate", path).code == 3


def test_the_arguments_of_the_app_replace_the_command_of_its_image(localrun: Command) -> None:
    path = app(localrun.folder, {"app/run": RUN}, Cmd=[])
    assert localrun("validate", path, "--profile", "iexec", "--args", "/app/run fast").code == 0
    assert (
        "'/app/other' is not in the image"
        in localrun("validate", path, "--profile", "iexec", "--args", "/app/other").out
    )
