from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.errors import LocalrunError, UsageError
from localrun.manager.payload import from_payload, is_manual


def test_copy_inputs_is_an_option_of_every_bundle_and_image() -> None:
    for payload in ({"bundle": "b"}, {"image": "i", "command": ["c"]}):
        assert from_payload({**payload, "copy_inputs": True}).copy_inputs
    with pytest.raises(UsageError, match="copy_inputs"):
        from_payload({"bundle": "b", "copy_inputs": 1})


def test_a_platform_is_an_option_of_every_bundle_and_image() -> None:
    for payload in ({"bundle": "b"}, {"image": "i", "command": []}, {"profile": "iexec", "image": "i"}):
        assert from_payload({**payload, "platform": "linux/aarch64"}).platform == "linux/arm64"
    with pytest.raises(UsageError, match="1 problem") as caught:
        from_payload({"bundle": "b", "platform": "linux/arm46"})
    assert "did you mean 'arm64'?" in caught.value.problems[0].message


def test_the_options_of_a_build_are_paths_below_the_bundles(tmp_path: Path) -> None:
    request = from_payload(
        {
            "bundle": "repo/a",
            "context": "repo",
            "dockerfile": "repo/own.Dockerfile",
            "target": "last",
            "build_args": {"A": "1"},
            "build_contexts": {"base": "docker-image://busybox"},
        },
        lambda name: tmp_path / name,
        lambda name: tmp_path / name,
    )
    assert (request.context, request.dockerfile) == (f"{tmp_path}/repo", f"{tmp_path}/repo/own.Dockerfile")
    assert (request.target, request.build_args) == ("last", {"A": "1"})
    assert request.build_contexts == {"base": "docker-image://busybox"}


def test_secrets_of_a_build_and_other_contexts_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        from_payload({"bundle": "b", "build_secrets": ["id=a"], "build_contexts": {"base": "./folder"}})
    problems = {problem.path: problem.message for problem in caught.value.problems}
    assert "localrun run --build-secret" in problems["build_secrets"]
    assert "docker-image://" in problems["build_contexts"]


@pytest.mark.parametrize("payload", [{}, {"type": "test"}, {"image": 5}, {"command": ["ls"]}, {"inputs": {}}])
def test_an_object_without_a_bundle_or_an_image_is_manual(payload: dict[str, Any]) -> None:
    assert is_manual(payload)


def test_a_bundle_is_found_by_whoever_knows_where_bundles_are() -> None:
    request = from_payload(
        {"bundle": "add", "inputs": {"a": 1}, "timeout": "10m", "resources": {"ram": "2Gi", "cpus": 0.5}},
        lambda name: Path("/roots") / name,
    )
    assert (request.bundle, request.values, request.timeout) == (Path("/roots/add"), {"a": 1}, 600)
    assert (request.memory, request.cpus, request.detached) == (2 * 1024**3, 0.5, True)


def test_an_image_comes_with_a_command_and_an_environment() -> None:
    request = from_payload({"image": "busybox", "command": ["ls"], "env": {"A": "b"}, "network": True})
    assert (request.image, request.command, request.environment) == ("busybox", ["ls"], {"A": "b"})
    assert request.network


def test_every_key_that_does_not_fit_is_named_with_its_path() -> None:
    with pytest.raises(UsageError) as caught:
        from_payload({"image": "x", "comand": ["ls"], "timeout": -1, "resources": {"cpus": "two", "disk": 1}})
    problems = {problem.path: str(problem) for problem in caught.value.problems}
    assert set(problems) == {"comand", "timeout", "resources.cpus", "resources.disk"}
    assert "did you mean 'command'?" in problems["comand"]
    assert "'two'" in problems["resources.cpus"]


@pytest.mark.parametrize("source", [{"image": "x"}, {"bundle": "x"}])
def test_a_limit_outside_of_resources_is_led_there(source: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        from_payload({**source, "memory": "1Gi", "cpu": 1})
    remedies = [problem.remedy for problem in caught.value.problems]
    assert remedies == ["did you mean 'memory' in 'resources'?", "did you mean 'cpus' in 'resources'?"]


@pytest.mark.parametrize("value", [True, "1", -1, float("nan"), float("inf"), None, []])
def test_a_number_of_cpus_is_a_number(value: Any) -> None:
    with pytest.raises(UsageError):
        from_payload({"image": "x", "command": [], "resources": {"cpus": value}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
keys = (
    st.sampled_from(["bundle", "image", "command", "env", "inputs", "resources", "timeout", "outputs"])
    | st.text()
)


@given(st.dictionaries(keys, json_values, max_size=5))
def test_any_object_is_read_or_refused_but_never_breaks(payload: dict[str, Any]) -> None:
    problems: tuple[object, ...] = ()
    try:
        if not is_manual(payload):
            from_payload(payload)
    except LocalrunError as error:
        problems = error.problems
        refused = True
    else:
        refused = False
    assert bool(problems) == refused
