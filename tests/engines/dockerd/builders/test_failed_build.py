"""The errors of builds: the place, the log, and a remedy that can be typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.engines.base import BuildRequest, BuildSecret
from localrun.engines.dockerd.builders.clients import BuildClient
from localrun.engines.dockerd.builders.dockerfiles import prepare
from localrun.engines.dockerd.builders.failed_build import BuilderFailure, build_error
from localrun.errors import Cause, LocalrunError

BUILDKIT = BuildClient("buildx", Path("/x"))
OLD = "20.10.24+dfsg1"


def error(folder: Path, text: str, failure: BuilderFailure, **options: Any) -> LocalrunError:
    (folder / "Dockerfile").write_text(text)
    request = BuildRequest(folder, "x:1", **options)
    return build_error(request, prepare(request), failure)


def test_the_message_has_the_instruction_its_line_the_reason_and_the_log(tmp_path: Path) -> None:
    failure = BuilderFailure("process did not complete: exit code: 3", "RUN make", ("one", "two"), BUILDKIT)
    found = error(tmp_path, "FROM a\n\nRUN make\n", failure)
    assert found.message == (
        "the build failed at `RUN make` (Dockerfile:3): process did not complete: exit code: 3\n"
        "    one\n    two"
    )
    assert found.remedy == f"correct {tmp_path}/Dockerfile"
    assert found.facts["instruction"] == "RUN make"
    assert found.facts["exit_code"] == 3


@pytest.mark.parametrize(
    ("text", "reason", "step"),
    [
        ("FROM a\nRUN --mount=type=cache,target=/c x\n", "the --mount option requires BuildKit.", "RUN x"),
        ("FROM a\nRUN <<EOF\nx\nEOF\n", "dockerfile parse error line 3: unknown instruction: X", ""),
        ("FROM a\nCOPY --link x /\n", "dockerfile parse error line 2: Unknown flag: link", ""),
        ("FROM a\nENV A=${B#c}\n", "failed to process \"${B#c}\": missing ':' in substitution", "ENV A"),
        (
            "FROM --platform=$BUILDPLATFORM a\n",
            'failed to parse platform : "" is an invalid component of "": platform specifier component',
            "FROM a",
        ),
    ],
)
def test_what_only_buildkit_can_build_names_it_and_how_to_get_it(
    tmp_path: Path, text: str, reason: str, step: str
) -> None:
    found = error(tmp_path, text, BuilderFailure(reason, step))
    assert "the Dockerfile needs BuildKit: " in found.remedy
    assert "apt-get install docker-buildx" in found.remedy


def test_a_typing_error_is_not_blamed_on_the_builder(tmp_path: Path) -> None:
    reason = "dockerfile parse error line 2: unknown instruction: RUM"
    found = error(tmp_path, "FROM a\nRUM x\n", BuilderFailure(reason, docker=OLD))
    assert found.message.startswith("the build failed at Dockerfile:2: ")
    assert found.remedy == f"correct {tmp_path}/Dockerfile"


def test_a_frontend_that_is_too_old_names_the_version_that_is_new_enough(tmp_path: Path) -> None:
    reason = "dockerfile parse error line 3: unknown instruction: X"
    text = "FROM a\nRUN <<EOF\nx\nEOF\nHEALTHCHECK --start-interval=1s CMD x\n"
    found = error(tmp_path, text, BuilderFailure(reason, client=BUILDKIT, docker=OLD))
    assert found.remedy.startswith(
        "a here-document (line 2), HEALTHCHECK --start-interval (line 5):"
        f" use Docker 25.0 or newer (this is {OLD})"
    )
    new = error(tmp_path, text, BuilderFailure(reason, client=BUILDKIT, docker="28.5.2"))
    assert new.remedy == f"correct {tmp_path}/Dockerfile"


@pytest.mark.parametrize(
    "failure",
    [
        BuilderFailure("pull access denied for lab/base", "FROM $BASE"),
        BuilderFailure(
            "failed to do request: dial tcp: lookup registry-1.docker.io: no such host",
            "[internal] load metadata for docker.io/lab/base:1.0",
            client=BUILDKIT,
        ),
    ],
)
def test_a_missing_base_image_can_be_replaced(tmp_path: Path, failure: BuilderFailure) -> None:
    found = error(tmp_path, "ARG BASE=lab/base:1.0\nFROM $BASE\nRUN x\n", failure)
    assert found.message.startswith("the build failed at `FROM $BASE` (Dockerfile:2): ")
    assert "`--build-context lab/base:1.0=docker-image://LOCAL`" in found.remedy


def test_a_full_disk_is_not_a_mistake_in_the_dockerfile(tmp_path: Path) -> None:
    failure = BuilderFailure("write /x: no space left on device", "RUN x", client=BUILDKIT)
    assert error(tmp_path, "FROM a\nRUN x\n", failure).cause is Cause.DISK_FULL


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("FROM a AS tests\nRUN exit 1\nFROM a\nRUN x\n", "RUN exit 1"),
        ("FROM a\nARG TARGETARCH\nRUN test $TARGETARCH\n", "RUN test $TARGETARCH"),
        ("FROM a\nVOLUME /v\nRUN touch /v/x\n", "RUN touch /v/x"),
    ],
)
def test_a_step_that_only_the_classic_builder_runs_like_this_names_buildkit(
    tmp_path: Path, text: str, step: str
) -> None:
    failure = BuilderFailure("returned a non-zero code: 1", step)
    assert "BuildKit builds this differently: " in error(tmp_path, text, failure).remedy
    failure = BuilderFailure("did not complete: exit code: 1", step, client=BUILDKIT)
    assert "BuildKit" not in error(tmp_path, text, failure).remedy


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("ARG BASE=a:1\nFROM $BASE\n", " or `--build-arg BASE=LOCAL`"),
        ("ARG TAG=1\nARG IMAGE=a:$TAG\nFROM ${IMAGE} AS x\n", " or `--build-arg IMAGE=LOCAL`"),
        ("ARG TAG=1\nFROM a:$TAG\n", ""),
        ("FROM a:1\n", ""),
    ],
)
def test_a_base_image_can_be_replaced_by_its_argument_if_it_has_one(
    tmp_path: Path, text: str, argument: str
) -> None:
    found = error(tmp_path, text, BuilderFailure("dial tcp: no such host", "FROM a:1", client=BUILDKIT))
    assert found.remedy == (
        "the image a:1 is missing and cannot be pulled: go online, use a local image"
        f" (`--build-context a:1=docker-image://LOCAL`{argument}), or import it with `docker load -i FILE`"
        " or `docker import FILE a:1`"
    )


@pytest.mark.parametrize(
    "reason",
    [
        "target stage Nope could not be found",
        'target stage "Nope" could not be found',
        "failed to reach build target Nope in Dockerfile",
    ],
)
def test_the_stages_are_listed_if_the_target_is_none(tmp_path: Path, reason: str) -> None:
    found = error(tmp_path, "FROM a AS One\nFROM b\n", BuilderFailure(reason), target="Nope")
    assert found.remedy == "correct --target; the stages are: one, 1"


def test_a_step_that_fails_without_its_secret_names_the_secret(tmp_path: Path) -> None:
    text = "FROM a\nRUN --mount=type=secret,id=tok cat /run/secrets/tok\n"
    step = "RUN --mount=type=secret,id=tok cat /run/secrets/tok"
    failure = BuilderFailure("exit code: 1", step, ("cat: can't open",), BUILDKIT)
    assert error(tmp_path, text, failure).remedy == "pass the secret: `--build-secret id=tok,src=FILE`"
    given = error(tmp_path, text, failure, secrets=(BuildSecret("tok", variable="X"),))
    assert given.remedy == f"correct {tmp_path}/Dockerfile"


def test_another_reason_of_a_failure_precedes_the_secret(tmp_path: Path) -> None:
    step = "RUN --mount=type=secret,id=tok pip install x"
    log = ("Temporary failure in name resolution",)
    found = error(tmp_path, f"FROM a\n{step}\n", BuilderFailure("exit code: 1", step, log, BUILDKIT))
    assert "the build cannot reach the network" in found.remedy


@pytest.mark.parametrize(
    "reason",
    [
        '"/data/a" not found: not found',
        'failed to calculate checksum of ref x::y: "/data/a": not found',
        "COPY failed: file not found in build context or excluded by .dockerignore: stat data/a:"
        " file does not exist",
    ],
)
def test_a_missing_file_is_found_where_it_is(tmp_path: Path, reason: str) -> None:
    folder = tmp_path / "repository" / "task"
    folder.mkdir(parents=True)
    failure = BuilderFailure(reason, "COPY data/a /")
    text = "FROM a\nCOPY data/a /\n"
    assert error(folder, text, failure).remedy.startswith("add 'data/a' to the context of the build")

    # in a folder above, e.g. shared by several tasks of a repository
    (folder.parent / "data").mkdir()
    (folder.parent / "data" / "a").touch()
    assert error(folder, text, failure).remedy == (
        f"data/a is in {folder.parent}, outside of the build context: `--context {folder.parent}`"
    )

    # in the context, but excluded
    (folder / "data").mkdir()
    (folder / "data" / "a").touch()
    (folder / ".dockerignore").write_text("data\n")
    assert error(folder, text, failure).remedy == (
        f"{folder}/.dockerignore excludes data/a: remove the pattern, or add the line `!data/a`"
    )


def test_an_add_without_network_is_reported_as_such(tmp_path: Path) -> None:
    step = "ADD https://example.org/a /a"
    failure = BuilderFailure('Get "https://example.org/a": dial tcp: no such host', step, client=BUILDKIT)
    assert error(tmp_path, f"FROM a\n{step}\n", failure).remedy == (
        "the build cannot reach the network: go online, or download the files before the build and COPY them"
    )
