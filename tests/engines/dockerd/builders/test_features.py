"""What the classic builder ignores, and what needs a newer Docker."""

from __future__ import annotations

import pytest

from localrun.engines.dockerd.builders.features import classic_warnings, unsupported
from localrun.engines.dockerfile import Dockerfile


def warnings(text: str, target: str = "", *given: str) -> tuple[str, ...]:
    return classic_warnings(Dockerfile(text), "Dockerfile", target=target, given=set(given))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RUN --mount=type=cache,target=/c true", "RUN --mount"),
        ("RUN --mount=type=secret,id=a,env=A true", "RUN --mount=type=secret,env="),
        ("RUN --network=none true", "RUN --network"),
        ("RUN --security=insecure true", "RUN --security"),
        ("COPY --link a /", "COPY --link"),
        ("COPY --chmod=755 a /", "COPY --chmod"),
        ("COPY --parents a /", "COPY --parents"),
        ("COPY --exclude=*.md . /", "COPY --exclude"),
        ("ADD --checksum=sha256:1 https://x/y /", "ADD --checksum"),
        ("ADD --link a /", "ADD --link"),
        ("ADD https://example.org/a.git /a", "ADD of a Git repository"),
        ("ADD git@example.org:a.git#v1 /a", "ADD of a Git repository"),
        ("HEALTHCHECK --start-interval=3s CMD true", "HEALTHCHECK --start-interval"),
        ("ENV A=${B#c}", "${NAME#PATTERN} and the like"),
        ("WORKDIR /${B%%c}", "${NAME#PATTERN} and the like"),
        ("LABEL a=${B//c/d}", "${NAME#PATTERN} and the like"),
        ("ONBUILD RUN --mount=type=cache,target=/c true", "RUN --mount"),
        ("ARG TARGETARCH", "TARGETARCH"),
        ("RUN echo ${BUILDPLATFORM}", "BUILDPLATFORM"),
        ("COPY bin-$TARGETOS-x /", "TARGETOS"),
        ("COPY --from=$TARGETVARIANT a /", "TARGETVARIANT"),
    ],
)
def test_each_difference_is_reported_with_its_line(line: str, expected: str) -> None:
    (warning,) = warnings(f"FROM a\n{line}\n")
    assert warning.startswith(f"Dockerfile:2: {expected}: the classic builder ")


def test_a_here_document_is_reported() -> None:
    assert warnings("FROM a\nRUN <<EOF\nRUN --mount=x\nEOF\n") == (
        "Dockerfile:2: a here-document: the classic builder reads its lines as instructions",
    )


@pytest.mark.parametrize(
    "text",
    [
        "ARG V=1\nFROM a:$V AS b\nARG TARGETARCH=amd64\nRUN echo ${X#y} $UID\nCOPY --chown=1 a /\nFROM b\n",
        "FROM a\nADD https://example.org/a.tar.gz /\nHEALTHCHECK --interval=3s CMD true\n",
        "FROM a\nENV A=${B:-c} B=\\${C#d}\nRUN true\nVOLUME /v\n",
    ],
)
def test_what_both_builders_do_is_not_reported(text: str) -> None:
    assert warnings(text) == ()


def test_automatic_arguments_that_were_given_are_not_empty() -> None:
    assert warnings("FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH\n", "", "TARGETARCH") == ()


def test_the_lines_of_one_difference_are_in_one_warning() -> None:
    assert warnings("FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH$TARGETARCH\nRUN x\n") == (
        "Dockerfile:2,3: TARGETARCH: the classic builder leaves it empty",
    )


def test_stages_that_the_target_does_not_need_are_reported() -> None:
    text = "FROM a AS tests\nFROM b\nFROM c\n"
    assert [warning.partition(" is")[0] for warning in warnings(text)] == [
        "Dockerfile:1: the stage tests: the classic builder builds it although it",
        "Dockerfile:2: the stage 1: the classic builder builds it although it",
    ]
    assert warnings(text, "tests") == ()


def test_platforms_of_from_are_reported_by_what_happens() -> None:
    variable, fixed = warnings("FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=linux/arm64 b\n")
    assert variable.startswith("Dockerfile:1: FROM --platform with a variable: ")
    assert fixed.startswith("Dockerfile:2: FROM --platform: the classic builder does not check ")


def test_writing_to_a_volume_in_a_later_step_is_reported() -> None:
    assert warnings("FROM a\nVOLUME /v\nRUN echo 1 > /v/x\nRUN true\n") == (
        "Dockerfile:3: RUN after VOLUME: the classic builder discards what it writes to the volume",
    )


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("RUN <<EOF\nEOF", (23, 0)),
        ("COPY --link a /", (23, 0)),
        ("RUN --network=none true", (23, 0)),
        ("HEALTHCHECK --start-interval=3s CMD true", (25, 0)),
        ("ADD --checksum=sha256:1 https://x/y /", (25, 0)),
        ("ENV A=${B#c}", (26, 0)),
        ("RUN --mount=type=secret,id=a,env=A true", (27, 3)),
        ("COPY --exclude=x . /", (29, 0)),
    ],
)
def test_the_first_version_of_docker_with_a_feature_is_known(line: str, version: tuple[int, int]) -> None:
    parsed = Dockerfile(f"FROM a\n{line}\n")
    (use,) = unsupported(parsed, (20, 10))
    assert (use.line, use.feature.docker) == (2, version)
    assert unsupported(parsed, version) == []


@pytest.mark.parametrize(
    "line", ["# syntax=ghcr.io/a/b:1", "#syntax = docker/dockerfile:1", "# check=error=true"]
)
def test_directives_that_are_ignored_are_reported(line: str) -> None:
    (warning,) = warnings(f"# escape=`\n{line}\nFROM a\n")
    name = "syntax" if "syntax" in line else "check"
    assert warning == f"Dockerfile:2: # {name}: the classic builder ignores it"


def test_a_folder_of_workdir_belongs_to_another_user() -> None:
    text = "FROM a\nWORKDIR /a\nUSER app\nWORKDIR /b\nUSER root\nWORKDIR /c\nFROM a\nWORKDIR /d\n"
    assert warnings(text, "0") == (
        "Dockerfile:4: WORKDIR after USER: the classic builder creates the folder for root, not for app",
    )
