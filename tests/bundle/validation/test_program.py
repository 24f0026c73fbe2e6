"""Checks of whether an image can start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.bundle.validation.validator import Severity, ValidationReport, validate
from tests.bundle.validation.test_validator import no_engine, told
from tests.support.bundles import DESCRIPTOR, ELF, bundle, image, layer_of
from tests.support.images import image_archive

SHELL = {"bin/sh": ELF}


def look(
    folder: Path, files: dict[str, bytes], descriptor: str = DESCRIPTOR, **config: Any
) -> ValidationReport:
    path = bundle(folder, image(files, **config), descriptor)
    return validate(path, cache=folder / "cache", engine=no_engine)


@pytest.mark.parametrize(
    ("files", "config", "words"),
    [
        ({}, {"Entrypoint": None}, "neither ENTRYPOINT nor CMD"),
        ({}, {}, "the program '/bin/run' is not in the image"),
        ({"bin/run/": b""}, {}, "'/bin/run' is a folder"),
        (
            {},
            {"Entrypoint": ["run"], "Env": ["PATH=/a:/b"]},
            "'run' is not in the image's PATH (/a:/b)",
        ),
        ({"bin/run": b"\x00\x01\x02"}, {}, "neither a program nor a script"),
        ({"bin/run": b"#!/bin/none\n"}, {}, "the interpreter /bin/none of '/bin/run' is not in the image"),
        ({"bin/run": b"#!\n"}, {}, "the interpreter (empty)"),
        ({"bin/run": b"#!/bin/sh\r\n", **SHELL}, {}, "ends with a carriage return"),
        (
            {"bin/run": b"#!/bin/env -S python3 -u\n", "bin/env": ELF},
            {},
            "the interpreter 'python3' of '/bin/run'",
        ),
        (SHELL, {"Entrypoint": ["sh", "/app/x.sh"]}, "the script '/app/x.sh' for sh is not"),
        (
            SHELL,
            {"Entrypoint": ["/bin/sh"], "Cmd": ["x.sh"], "WorkingDir": "/w"},
            "the script 'x.sh' for /bin/sh",
        ),
        ({"bin/run": ELF}, {"User": "bob"}, "the USER 'bob' of the image is not in its /etc/passwd"),
        ({"bin/run": ELF, "etc/passwd": b"bobby:x:1:1::/:\n"}, {"User": "bob:staff"}, "USER 'bob'"),
        ({"inputs/run": ELF}, {"Entrypoint": ["/inputs/run"]}, "an empty folder is mounted over /inputs"),
        ({"bin/run": ELF, "inputs": b"x"}, {}, "/inputs is a file in the image"),
        (
            {"bin/run": ELF.replace(b"\x3e\x00", b"\xb7\x00", 1)},
            {},
            "a program for arm64, in an image for amd64",
        ),
    ],
)
def test_what_cannot_start_is_told(
    tmp_path: Path, files: dict[str, bytes], config: dict[str, Any], words: str
) -> None:
    report = look(tmp_path, files, **config)
    assert words in told(report, Severity.ERROR)
    assert all(finding.problem.remedy for finding in report.findings)


@pytest.mark.parametrize(
    ("files", "config"),
    [
        ({"usr/bin/run": ELF}, {"Entrypoint": ["run"]}),
        ({"app/run": ELF}, {"Entrypoint": ["./run"], "WorkingDir": "/app"}),
        ({"bin/run": b"#! /bin/sh -e\n", **SHELL}, {}),
        ({"bin/run": b"#!/bin/env sh\n", "bin/env": ELF, **SHELL}, {}),
        ({"w/x.sh": b"echo", **SHELL}, {"Entrypoint": ["/bin/sh"], "Cmd": ["x.sh"], "WorkingDir": "/w"}),
        (SHELL, {"Entrypoint": ["/bin/sh", "-c", "echo"]}),
        ({"bin/run": ELF}, {"User": "1000:1000"}),
        ({"bin/run": ELF, "etc/passwd": b"root:x:0:0::/:\nbob:x:1:1::/:\n"}, {"User": "bob"}),
        ({"bin/run": ELF.replace(b"\x3e\x00", b"\x03\x00", 1)}, {}),
        ({"bin/run": ELF}, {"Entrypoint": None, "Cmd": ["/bin/run"]}),
    ],
)
def test_what_can_start_is_not_complained_of(
    tmp_path: Path, files: dict[str, bytes], config: dict[str, Any]
) -> None:
    report = look(tmp_path, files, **config)
    assert report.findings == ()


def test_a_script_without_a_first_line_runs_here_and_not_in_kubernetes(tmp_path: Path) -> None:
    report = look(tmp_path, {"bin/run": b"echo hello\n"})
    assert "exec format error" in told(report, Severity.REFUSED)
    assert (report.runs_here, report.accepted) == (True, False)
    assert report.findings[0].code == ""


def test_a_program_that_nobody_may_execute_is_told_with_the_line_to_add(tmp_path: Path) -> None:
    archive = image_archive(layer_of({"bin/run": ELF}, mode=0o644), "x:1", Entrypoint=["/bin/run"])
    report = validate(bundle(tmp_path, archive), cache=tmp_path / "cache", engine=no_engine)
    assert report.findings[0].problem.remedy == "add to the Dockerfile: RUN chmod +x /bin/run"


def test_what_the_mounts_hide_is_a_warning(tmp_path: Path) -> None:
    report = look(tmp_path, {"bin/run": ELF, "outputs/old": b""})
    assert "the files of the image in /outputs are hidden" in told(report, Severity.WARNING)
    assert report.accepted


def test_an_image_for_another_machine_is_a_warning(tmp_path: Path) -> None:
    archive = image_archive(
        layer_of({"bin/run": ELF.replace(b"\x3e\x00", b"\xb7\x00", 1)}),
        "x:1",
        architecture="arm64",
        Entrypoint=["/bin/run"],
    )
    report = validate(bundle(tmp_path, archive), cache=tmp_path / "cache", engine=no_engine)
    assert "the image is for linux/arm64" in told(report, Severity.WARNING)
    assert report.runs_here


@pytest.mark.parametrize(
    "config", [{"Entrypoint": "text", "Cmd": {"a": 1}, "User": 5, "Env": [1]}, {"Env": None}]
)
def test_a_configuration_of_a_wrong_form_is_no_reason_to_fall(tmp_path: Path, config: dict[str, Any]) -> None:
    report = look(tmp_path, {"bin/run": ELF}, **config)
    assert report.image is not None
