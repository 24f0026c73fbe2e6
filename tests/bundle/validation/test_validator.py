"""Validation of bundles."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from localrun.bundle.validation.validator import Severity, ValidationReport, validate
from localrun.descriptor.divergences import TABLE
from localrun.engines.base import Engine
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeEngine
from localrun.errors import BundleError, Cause, EngineUnreachable, ImageError
from tests.support.archives import old_save
from tests.support.bundles import DESCRIPTOR, NAME, bundle, image, zip_of
from tests.support.images import tar_of


def no_engine() -> Engine:
    raise EngineUnreachable("no container engine answers")


def look(path: Path, **more: Any) -> ValidationReport:
    return validate(path, cache=path.parent / "cache", engine=more.pop("engine", no_engine), **more)


def told(report: ValidationReport, weight: Severity) -> str:
    return "\n".join(str(finding.problem) for finding in report.with_severity(weight))


def test_a_good_bundle_is_accepted_without_an_engine_and_without_a_word(tmp_path: Path) -> None:
    report = look(bundle(tmp_path))
    assert (report.accepted, report.runs_here, report.findings, report.unchecked) == (True, True, (), ())
    assert report.image is not None
    assert report.image.entrypoint == ("/bin/run",)
    assert report.image.platform == "linux/amd64"


def test_what_is_not_there_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such file"):
        look(tmp_path / "none.zip")


def test_a_wrong_descriptor_is_told_with_places_and_the_code_of_the_schema(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, descriptor=DESCRIPTOR.replace("type: integer", "type: integr")))
    assert [finding.problem.path for finding in report.findings] == [
        "inputs.a.type",
        "inputs.b.type",
        "outputs.sum.type",
    ]
    assert {finding.code for finding in report.findings} == {"APPE-internal-bundle-schema-validation-error"}
    assert all(finding.problem.line and finding.problem.source for finding in report.findings)
    assert not report.runs_here


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({}, "APPE-internal-descriptor-extraction-error", "empty zip"),
        (
            {"descriptor.yml": b"a: [", NAME: b"x"},
            "APPE-internal-descriptor-extraction-error",
            "invalid YAML",
        ),
        ({"descriptor.yml": DESCRIPTOR.encode()}, "", "no image archive"),
        ({NAME: image()}, "APPE-internal-bundle-validation-error", "missing descriptor"),
        (
            {"descriptor.yml": DESCRIPTOR.encode(), NAME: tar_of({"hello": b"hello"})},
            "APPE-internal-bundle-validation-error",
            "not an image archive",
        ),
    ],
)
def test_what_cannot_be_read_carries_the_code_that_app_engine_would_answer(
    tmp_path: Path, members: dict[str, bytes], code: str, words: str
) -> None:
    report = look(zip_of(tmp_path / "b.zip", members))
    assert words in told(report, Severity.ERROR)
    assert report.findings[0].code == code


def test_what_localrun_refuses_and_app_engine_takes_carries_no_code(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, descriptor=DESCRIPTOR.replace("/outputs", "/inputs")))
    assert not report.accepted
    codes = {finding.code for finding in report.findings}
    assert codes <= {"", "APPE-internal-bundle-schema-validation-error"}


def test_a_divergence_is_a_refusal_with_its_row_and_code(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, descriptor=DESCRIPTOR.replace("name_short: add\n", "")))
    (finding,) = report.findings
    assert (finding.severity, finding.row, finding.code) == (
        Severity.REFUSED,
        "name_short",
        TABLE["name_short"].code,
    )
    assert finding.problem.line == 1
    assert (report.accepted, report.runs_here) == (False, True)


def test_the_refusals_of_app_engine_are_found_in_an_invalid_descriptor_too(tmp_path: Path) -> None:
    text = DESCRIPTOR.replace("name_short: add\n", "").replace("version: 1.0.0", "version:")
    report = look(bundle(tmp_path, descriptor=text))
    assert [(one.severity, one.row) for one in report.findings] == [
        (Severity.ERROR, ""),
        (Severity.REFUSED, "name_short"),
    ]


def test_a_key_that_nobody_knows_is_a_warning(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, descriptor=DESCRIPTOR + "colour: blue\n"))
    assert told(report, Severity.WARNING).startswith("descriptor.yml:")
    assert report.accepted


def test_a_name_without_a_dash_is_refused(tmp_path: Path) -> None:
    report = look(bundle(tmp_path, name="image.tar"))
    assert "'image.tar'" in told(report, Severity.REFUSED)
    assert report.runs_here


def test_a_name_that_app_engine_ignores_is_accepted_but_never_runs(tmp_path: Path) -> None:
    (found,) = look(bundle(tmp_path, gzip.compress(image()), name="a-1.tar.gz")).findings
    assert (found.severity, found.row, found.step, found.code) == (
        Severity.REFUSED,
        "tar_ending",
        "run start",
        "",
    )


def test_the_worst_comes_first_and_nothing_twice(tmp_path: Path) -> None:
    descriptor = DESCRIPTOR.replace("name_short: add\n", "") + "colour: blue\n"
    report = look(bundle(tmp_path, image({}), descriptor))
    weights = [finding.severity for finding in report.findings]
    assert weights == sorted(weights, key=list(Severity).index)
    assert set(weights) == set(Severity)
    assert len(set(report.findings)) == len(report.findings)


def test_the_report_is_json(tmp_path: Path) -> None:
    plain = json.loads(json.dumps(look(bundle(tmp_path, image({}))).as_dict()))
    assert plain["accepted"] is False
    assert plain["findings"][0]["weight"] == "error"
    assert plain["image"]["entrypoint"] == ["/bin/run"]


def test_a_folder_with_an_archive_is_judged_like_its_zip(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "Com.Example-1.tar").write_bytes(image())
    report = look(tmp_path)
    assert "no registry takes" in told(report, Severity.REFUSED)


def test_an_archive_of_docker_before_25_is_accepted(tmp_path: Path) -> None:
    members = old_save(layer=tar_of({"hello": b"#!/hello\n"}, mode=0o755))
    assert look(bundle(tmp_path, tar_of(members))).findings == ()


def test_without_an_engine_a_dockerfile_is_not_looked_at_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    report = look(tmp_path)
    assert report.unchecked == ("the image: no container engine answers",)
    assert report.accepted
    assert report.image is None


def test_an_image_that_is_not_available_is_not_checked_and_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    engine = FakeEngine()
    report = look(tmp_path / "descriptor.yml", image="localrun-test/none:1", engine=lambda: engine)
    assert "localrun-test/none:1" in report.unchecked[0]
    assert report.findings == ()
    assert (report.accepted, report.runs_here) == (True, False)


def test_a_failed_build_is_not_checked_and_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "Dockerfile").write_text("FROM none.example/base:1\n")
    engine = FakeEngine()
    error = ImageError("the build failed", cause=Cause.IMAGE_BUILD_FAILED, remedy="go online")
    with patch.object(engine, "build_image", side_effect=error):
        report = look(tmp_path, engine=lambda: engine)
    assert report.unchecked == ("the image: the build failed; hint: go online",)
    assert (report.findings, report.accepted, report.runs_here) == ((), True, False)


def test_an_image_of_an_engine_is_looked_into_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    engine = FakeEngine()
    engine.add_image("localrun-test/add:1", entrypoint=["/bin/run"])
    report = look(tmp_path / "descriptor.yml", image="localrun-test/add:1", engine=lambda: engine)
    assert "'/bin/run' is not in the image" in told(report, Severity.ERROR)
    assert engine.find({"localrun.task": ""}) == []


@pytest.mark.docker
def test_an_image_of_docker_is_looked_into_as_its_archive_would_be(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    script = "#!/bin/none\n"
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    (tmp_path / "run").write_text(script)
    (tmp_path / "run").chmod(0o755)
    lines = [
        f"FROM {busybox}",
        "COPY run /app/run",
        "COPY run /inputs/x",
        "USER bob",
        'ENTRYPOINT ["/app/run"]',
    ]
    (tmp_path / "Dockerfile").write_text("\n".join(lines) + "\n")
    built = None
    try:
        report = look(tmp_path, engine=lambda: docker_engine)
        built = report.image
    finally:
        if built:
            docker_engine.remove_image(docker_engine.find_image(built.id).tags[0])  # type: ignore[union-attr]
    errors = told(report, Severity.ERROR)
    assert "the interpreter /bin/none of '/app/run' is not in the image" in errors
    assert "USER 'bob'" in errors
    assert "the files of the image in /inputs are hidden" in told(report, Severity.WARNING)
    assert docker_engine.find({"localrun.step": "validate"}) == []


@pytest.mark.docker
def test_a_program_of_docker_is_found_through_links(
    docker_engine: DockerEngine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "descriptor.yml").write_text(DESCRIPTOR)
    report = look(tmp_path / "descriptor.yml", image=busybox, engine=lambda: docker_engine)
    assert report.runs_here, told(report, Severity.ERROR)
    assert report.image is not None
    assert report.image.arguments == ("sh",)
