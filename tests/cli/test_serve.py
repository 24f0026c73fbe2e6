"""The options of `localrun serve`."""

from __future__ import annotations

from typing import Any

import pytest

from localrun.server.config import ServerOptions, server_options
from localrun.settings import Settings
from tests.cli.command import Command

DEFAULTS: dict[str, Any] = {
    "host": "127.0.0.1",
    "token": None,
    "names": (),
    "bundles": (),
    "api_prefixes": (),
}


def options(**given: Any) -> ServerOptions:
    return server_options(Settings(), **DEFAULTS | given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), ("/app-engine/", "/api/")),
        (("/here",), ("/here/",)),
        (("/here/v1/", "/"), ("/here/", "/")),
    ],
)
def test_the_prefixes_of_app_engines_api_can_be_chosen(
    given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert options(api_prefixes=given).api_prefixes == expected


@pytest.mark.parametrize("prefix", ["/ui/", "/a b/"])
def test_an_unsuitable_prefix_is_refused(localrun: Command, prefix: str) -> None:
    done = localrun("serve", "--api-prefix", prefix)
    assert done.code == 2
    assert "API prefix" in done.err
    assert "use a path such as /app-engine/" in done.err
