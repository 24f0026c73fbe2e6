"""Platforms: parsing, and which images run where."""

from __future__ import annotations

import pytest

from localrun.engines.architectures import Platform, parse_platform, platform_of

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("Linux/AArch64", "linux/arm64"),
        ("arm64", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/amd64/v2", "linux/amd64/v2"),
        ("linux/i386", "linux/386"),
    ],
)
def test_a_platform_is_parsed_as_docker_does(text: str, expected: str) -> None:
    assert str(parse_platform(text)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid platform"),
        ("linux/", "invalid platform"),
        ("linux/amd64/v1/x", "invalid platform"),
        ("linux/amd64,linux/arm64", "expected one"),
        ("windows/amd64", "tasks run on linux"),
        ("linux/amd46", "did you mean 'amd64'"),
        ("linux/zz", "expected one of: 386, amd64"),
    ],
)
def test_an_invalid_platform_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_platform(text)


def test_a_machine_runs_its_second_architecture_without_emulation() -> None:
    assert AMD64.runs(Platform("linux", "386"))
    assert ARM64.runs(Platform("linux", "arm", "v7"))
    assert not AMD64.runs(ARM64)
    assert not Platform("linux", "386").runs(AMD64)
    assert AMD64.runs(Platform())


def test_an_earlier_variant_of_arm_is_accepted_and_a_later_one_is_not() -> None:
    wanted = parse_platform("linux/arm/v7")
    assert wanted.accepts(platform_of("linux", "arm", "v6"))
    assert not wanted.accepts(platform_of("linux", "arm", "v8"))
    assert parse_platform("linux/amd64").accepts(platform_of("linux", "amd64", "v2"))
    assert not parse_platform("linux/amd64/v2").accepts(AMD64)
