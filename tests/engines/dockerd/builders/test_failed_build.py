"""The errors of builds: the place, the log, and a remedy that can be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.engines.base import BuildRequest
from localrun.engines.dockerd.builders.clients import BuildClient
from localrun.engines.dockerd.builders.dockerfiles import prepare
from localrun.engines.dockerd.builders.failed_build import BuilderFailure, build_error
from localrun.errors import Cause, LocalrunError

BUILDKIT = BuildClient("buildx", Path("/x"))
OLD = "20.10.24+dfsg1"


def error(folder: Path, text: str, failure: BuilderFailure) -> LocalrunError:
    (folder / "Dockerfile").write_text(text)
    request = BuildRequest(folder, "x:1")
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
