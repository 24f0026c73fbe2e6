from __future__ import annotations

import pytest

from localrun.errors import UsageError
from localrun.server.appengine.paths import DEFAULT_PREFIXES, read_prefix, sub_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/app-engine/", "/app-engine/"),
        ("app-engine", "/app-engine/"),
        ("/app-engine/v1/", "/app-engine/"),
        ("/a/b", "/a/b/"),
        ("/", "/"),
        ("", "/"),
        ("v1", "/"),
    ],
)
def test_a_prefix_has_a_slash_at_both_ends_and_no_version(text: str, expected: str) -> None:
    assert read_prefix(text) == expected


@pytest.mark.parametrize("text", ["/a b/", "http://x/", "/a/../b", "/a//b", "/ä/"])
def test_a_prefix_that_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid API prefix") as caught:
        read_prefix(text)
    assert "/app-engine/" in caught.value.remedy


@pytest.mark.parametrize("text", ["/ui/", "/task/", "/docs", "/bundle/x", "/session/"])
def test_a_prefix_of_localruns_own_api_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is used by localrun"):
        read_prefix(text)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/app-engine/v1/tasks", "/v1/tasks"),
        ("/app-engine/v1//tasks//x", "/v1/tasks/x"),
        ("/api/v1/", "/v1/"),
        ("/ping", "/ping"),
        ("/app-engine/v1", None),
        ("/app-engine/ping", None),
        ("/task", None),
    ],
)
def test_a_path_of_the_api_is_found_below_its_prefix(path: str, expected: str | None) -> None:
    assert sub_path(path, DEFAULT_PREFIXES) == expected
