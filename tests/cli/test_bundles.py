"""The commands for writing a bundle: validate, inspect, build, schema and init."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, ImageError
from tests.cli.command import Command
from tests.support.bundles import DESCRIPTOR, NAME, bundle, image

WITHOUT_SHORT = DESCRIPTOR.replace("name_short: add\n", "")


def folder(localrun: Command, descriptor: str = DESCRIPTOR) -> Path:
    path = localrun.folder / "task"
    path.mkdir()
    (path / "descriptor.yml").write_text(descriptor)
    (path / NAME).write_bytes(image())
    return path


# -- validate -------------------------------------------------------------------------------------


def test_a_bundle_that_app_engine_would_accept_ends_with_0(localrun: Command) -> None:
    done = localrun("validate", bundle(localrun.folder))
    assert (done.code, done.out, done.err) == (0, "App Engine would accept Add integers 1.0.0\n", "")


def test_a_refusal_is_shown_with_its_place_its_code_and_what_to_do(localrun: Command) -> None:
    done = localrun("validate", bundle(localrun.folder, descriptor=WITHOUT_SHORT))
    assert done.code == 3
    assert (
        "runs here, but App Engine would refuse it:\n  - descriptor.yml:1:1 name_short: its upload"
        in done.out
    )
    assert "      $schema: https://cytomine.com" in done.out
    assert "\n      ^\n      App Engine's answer: APPE-internal-bundle-validation-error\n" in done.out
    assert done.out.endswith("App Engine would refuse Add integers 1.0.0: 1 reason\n")


def test_a_wrong_bundle_is_shown_with_every_reason(localrun: Command) -> None:
    descriptor = DESCRIPTOR.replace("type: integer", "type: integr")
    done = localrun("validate", bundle(localrun.folder, descriptor=descriptor))
    assert done.code == 3
    assert done.out.count("did you mean 'integer'?") == 3
    assert done.out.endswith(": 3 reasons\n")


def test_strict_makes_warnings_fail(localrun: Command) -> None:
    path = bundle(localrun.folder, descriptor=DESCRIPTOR + "colour: blue\n")
    lenient, strict = localrun("validate", path), localrun("validate", path, "--strict")
    assert (lenient.code, strict.code) == (0, 3)
    assert lenient.out == strict.out
    assert "warnings:" in lenient.out
    assert lenient.out.endswith("App Engine would accept Add integers 1.0.0, with 1 warning\n")


def test_the_report_is_one_line_of_json(localrun: Command) -> None:
    done = localrun("validate", bundle(localrun.folder, descriptor=WITHOUT_SHORT), "--json")
    assert done.code == 3
    assert (done.json["accepted"], done.json["runs_here"]) == (False, True)
    (finding,) = done.json["findings"]
    assert (finding["weight"], finding["row"], finding["line"]) == ("refused", "name_short", 1)


def test_what_could_not_be_looked_at_is_said(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = localrun.folder / "task"
    path.mkdir()
    (path / "descriptor.yml").write_text(DESCRIPTOR)
    (path / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv("LOCALRUN_DOCKER_HOST", "tcp://127.0.0.1:1")
    from localrun.app import App

    localrun.app = App  # type: ignore[method-assign]
    done = localrun("validate", path)
    assert done.code == 0
    assert "not checked: the image: cannot connect to a container engine at tcp://127.0.0.1:1" in done.out
    assert "not everything was checked" in done.out


def test_an_image_that_is_not_available_is_not_checked_and_not_refused(localrun: Command) -> None:
    path = localrun.folder / "descriptor.yml"
    path.write_text(DESCRIPTOR)
    done = localrun("validate", path, "--image", "localrun-test/none:1")
    assert done.code == 3
    assert "not checked: the image: " in done.out
    assert "would refuse" not in done.out
    assert "would accept the descriptor of Add integers 1.0.0; the image was not checked" in done.out
    assert not localrun("validate", path, "--image", "localrun-test/none:1", "--json").json["runs_here"]


def test_a_bundle_whose_runs_would_fail_is_told_apart_from_one_that_is_refused(localrun: Command) -> None:
    descriptor = DESCRIPTOR.replace("ram: 64Mi", 'ram: "64 Mi"')
    done = localrun("validate", bundle(localrun.folder, descriptor=descriptor))
    assert done.code == 3
    assert "App Engine's answer at run start: APPE-internal-server-error" in done.out
    assert "App Engine would accept Add integers 1.0.0, but not run it: 1 reason" in done.out


def test_a_bundle_that_is_not_there_is_an_error_and_no_verdict(localrun: Command) -> None:
    done = localrun("validate", "none.zip")
    assert (done.code, done.out) == (3, "")
    assert "no such file" in done.err


def test_a_bundle_cannot_steer_the_terminal(localrun: Command) -> None:
    done = localrun("validate", bundle(localrun.folder, image({}, Entrypoint=["\x1b]0;owned\x07"])))
    assert "\x1b" not in done.out
    assert "\x07" not in done.out


# -- inspect --------------------------------------------------------------------------------------

TYPED = (
    DESCRIPTOR.replace(
        "a: {type: integer,", "a: {type: {id: integer, geq: 1, lt: 9}, optional: true, default: 4,"
    )
    .replace(
        "b: {type: integer,",
        "b: {type: {id: array, subtype: {id: enumeration, values: [x, y]}, max_size: 3},",
    )
    .replace("sum: {type: integer,", "sum: {type: {id: file, max_file_size: 2KiB},".replace("KiB", "MiB"))
)


def test_a_bundle_is_shown_as_a_table(localrun: Command) -> None:
    done = localrun("inspect", bundle(localrun.folder, image(User="bob", Cmd=["-v"]), TYPED))
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["name", "Add", "integers"] in lines
    assert ["resources", "1", "CPU,", "64", "MiB,", "no", "network"] in lines
    assert ["entrypoint", '["/bin/run"]'] in lines
    assert ["command", '["-v"]'] in lines
    assert ["user", "bob"] in lines
    assert ["NAME", "TYPE", "NEEDED", "CONSTRAINTS", "DEFAULT", "DESCRIPTION"] in lines
    assert ["a", "integer", "optional", "lt", "9,", "geq", "1", "4", "one"] in lines
    assert [
        "b",
        "array<enumeration>",
        "required",
        "items",
        "values",
        "x|y,",
        "max_size",
        "3",
        "other",
    ] in lines
    assert ["sum", "file", "always", "max_file_size", "2", "MiB", "both"] in lines


def test_what_a_bundle_is_comes_as_json(localrun: Command) -> None:
    found = localrun("inspect", bundle(localrun.folder, None, TYPED), "--json").json
    assert found["inputs"]["a"]["type"] == {"id": "integer", "geq": 1, "lt": 9}
    assert found["inputs"]["a"]["default"] == 4
    assert found["inputs"]["b"]["type"]["subtype"] == {"id": "enumeration", "values": ["x", "y"]}
    assert found["image"]["entrypoint"] == ["/bin/run"]
    assert found["resources"]["memory"] == 64 * 1024**2


def test_an_image_that_was_not_built_yet_is_said_to_be_so(localrun: Command) -> None:
    path = localrun.folder / "task"
    path.mkdir()
    (path / "descriptor.yml").write_text(DESCRIPTOR)
    (path / "Dockerfile").write_text("FROM scratch\n")
    done = localrun("inspect", path)
    assert "image       not built or pulled yet\n" in done.out
    assert localrun("inspect", path, "--json").json["image"] is None


def test_an_image_of_the_engine_is_shown(localrun: Command) -> None:
    from tests.support.environment import IMAGE

    done = localrun("inspect", localrun.bundle, "--image", IMAGE)
    assert f"image       {IMAGE}\n" in done.out


# -- build ----------------------------------------------------------------------------------------


def test_a_zip_is_written_and_its_parts_are_told(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(localrun.folder)
    done = localrun("build", folder(localrun))
    assert done.code == 0
    assert done.out.endswith("App Engine would accept Add integers 1.0.0\nwrote com.example.add-1.0.0.zip\n")
    assert f"    {NAME}\n" in done.out
    assert "layer 1: a test" in done.out
    with zipfile.ZipFile("com.example.add-1.0.0.zip") as archive:
        assert archive.namelist() == ["descriptor.yml", NAME]


def test_what_was_built_is_told_as_json(localrun: Command) -> None:
    target = localrun.folder / "x.zip"
    done = localrun("build", folder(localrun), "-o", target, "--json")
    assert done.json["path"] == str(target)
    assert done.json["size"] == target.stat().st_size
    assert [part["name"] for part in done.json["parts"]] == ["descriptor.yml", NAME]
    assert done.json["report"]["accepted"] is True
    assert done.err == ""


def test_a_zip_that_app_engine_would_refuse_is_written_by_force_only(localrun: Command) -> None:
    path, target = folder(localrun, WITHOUT_SHORT), localrun.folder / "x.zip"
    done = localrun("build", path, "-o", target)
    assert (done.code, target.exists()) == (3, False)
    assert "no file was written" in done.out
    assert localrun("build", path, "-o", target, "--json").json["path"] is None
    forced = localrun("build", path, "-o", target, "--force", "-q")
    assert (forced.code, target.exists()) == (0, True)


def test_quiet_says_only_what_was_written(localrun: Command) -> None:
    target = localrun.folder / "x.zip"
    done = localrun("build", folder(localrun), "-o", target, "-q")
    assert (done.out, done.err) == (f"wrote {target}\n", "")


def test_an_image_of_the_engine_is_saved(localrun: Command) -> None:
    target = localrun.folder / "x.zip"
    from tests.support.environment import IMAGE

    done = localrun("build", localrun.bundle, "--image", IMAGE, "-o", target, "--force")
    assert done.code == 0
    assert done.err.startswith("saving the image\npacking the image: ")
    assert zipfile.is_zipfile(target)


def test_a_target_that_cannot_be_written_is_a_wrong_call(localrun: Command) -> None:
    done = localrun("build", folder(localrun), "-o", "/none/x.zip")
    assert done.code == 2
    assert "cannot write /none/x.zip" in done.err


# -- schema ---------------------------------------------------------------------------------------


def test_the_schema_is_json_for_people_or_on_one_line(localrun: Command) -> None:
    shown = localrun("schema")
    assert shown.out.count("\n") > 50
    assert json.loads(shown.out) == localrun("schema", "--json").json
    assert json.loads(shown.out)["$schema"] == "https://json-schema.org/draft/2019-09/schema"


# -- init -----------------------------------------------------------------------------------------


def test_a_new_bundle_is_written_and_is_one(localrun: Command) -> None:
    path = localrun.folder / "adder"
    done = localrun("init", path)
    assert done.code == 0
    assert f"{path}/descriptor.yml\n" in done.out
    assert f"run it: localrun run {path} --inputs {path}/inputs.json\n" in done.out
    assert "sum" in localrun("inspect", path).out


def test_the_new_files_are_told_as_json(localrun: Command) -> None:
    path = localrun.folder / "new"
    found = localrun("init", path, "--input", "x:image", "--output", "y:array<datetime>", "--json").json
    there = [str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()]
    assert found["files"] == sorted(there)
    assert "datetime" in found["warnings"][0]


def test_wrong_parameters_are_a_wrong_call_and_write_nothing(localrun: Command) -> None:
    path = localrun.folder / "new"
    done = localrun("init", path, "--input", "x:integr", "--input", "y")
    assert (done.code, path.exists()) == (2, False)
    assert "--input x:integr: unknown type 'integr'; did you mean 'integer'?" in done.err
    assert "--input y: missing type" in done.err


def test_a_folder_that_is_not_empty_is_left_alone(localrun: Command) -> None:
    done = localrun("init", localrun.folder)
    assert done.code == 2
    assert "is not empty" in done.err


def test_packages_are_written_to_the_requirements_of_a_new_bundle(localrun: Command) -> None:
    path = localrun.folder / "new"
    assert localrun("init", path, "--with", "numpy,pillow", "--with", "scipy").code == 0
    assert (path / "requirements.txt").read_text() == "numpy\npillow\nscipy\n"


def test_invalid_packages_are_a_wrong_call_and_write_nothing(localrun: Command) -> None:
    path = localrun.folder / "new"
    done = localrun("init", path, "--with", "nump y,cv2")
    assert (done.code, path.exists()) == (2, False)
    assert "invalid packages (2 problems)" in done.err
    assert "--with nump y: invalid package 'nump y'; expected e.g. numpy" in done.err


# -- warnings of the builder --------------------------------------------------------------------------

IGNORED = "Dockerfile:2: TARGETARCH: the classic builder leaves it empty"


@pytest.fixture
def built(localrun: Command, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle whose Dockerfile has something that the engine's builder ignores."""
    monkeypatch.setattr(FakeEngine, "build_warnings", lambda _engine, _request: (IGNORED,))
    path = localrun.folder / "task"
    path.mkdir()
    (path / "descriptor.yml").write_text(DESCRIPTOR)
    (path / "Dockerfile").write_text("FROM scratch\nARG TARGETARCH\n")
    return path


def test_warnings_of_the_builder_are_part_of_the_report(localrun: Command, built: Path) -> None:
    done = localrun("validate", built)
    assert f"image: {IGNORED}" in done.out
    findings = localrun("validate", built, "--json").json["findings"]
    assert IGNORED in [finding["message"] for finding in findings]


def test_warnings_of_the_builder_are_shown_by_build(localrun: Command, built: Path) -> None:
    target = localrun.folder / "x.zip"
    done = localrun("build", built, "-o", target, "--force", "--json")
    assert done.err == f"warning: {IGNORED}\n"
    assert done.json["warnings"] == [IGNORED]


def test_warnings_of_the_builder_are_in_the_record_of_a_failed_build(
    localrun: Command, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise ImageError("the build failed", cause=Cause.IMAGE_BUILD_FAILED)

    monkeypatch.setattr(FakeEngine, "build_image", fail)
    assert localrun("build", built, "--json").json["warnings"] == [IGNORED]
    assert IGNORED in [item["message"] for item in localrun("validate", built, "--json").json["findings"]]


def test_warnings_of_the_builder_are_in_the_record_of_a_run(localrun: Command, built: Path) -> None:
    done = localrun("run", built, "-i", "a=3", "-i", "b=4")
    assert IGNORED in done.err
    again = localrun("run", built, "-i", "a=3", "-i", "b=4", "--json")
    assert again.json["warnings"] == [IGNORED]
