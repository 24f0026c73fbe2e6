"""The settings, from their model."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec

from localrun.settings import PREFIX, Settings
from localrun.units import format_bytes

from chapters.page import Page, code

_KINDS: dict[Any, str] = {
    Path: "a path",
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}
_WITH_UNITS = {"max_age": "a duration", "max_size": "a size"}
_SIGNS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def page() -> Page:
    """Return the page of settings."""
    made = Page(
        "Settings",
        "Settings are environment variables. A command-line option overrides the variable, which overrides "
        "the default. If values are invalid, the command lists all of them and exits with code 2.",
    )
    hints = get_type_hints(Settings, include_extras=True)
    rows = [_row(field, hints[field.name]) for field in msgspec.structs.fields(Settings)]
    made.table(["variable", "meaning", "type", "default"], rows)
    made.head("Other variables")
    made.table(
        ["variable", "meaning"],
        [
            ["`LOCALRUN_TOKEN`", "The bearer token that clients of `localrun serve` must send."],
            [
                "`DOCKER_HOST`",
                "[The engine](../engine-selection.md) if neither `LOCALRUN_DOCKER_HOST` nor "
                "`LOCALRUN_DOCKER_CONTEXT` is set.",
            ],
            ["`DOCKER_CONTEXT`", "The context of the engine, in the same case."],
            [
                "`DOCKER_TLS_VERIFY`",
                "TLS if `LOCALRUN_DOCKER_TLS_VERIFY` is not set. As for docker, any text turns it on, also "
                "`0`.",
            ],
            ["`DOCKER_TLS`", "TLS without verification if `LOCALRUN_DOCKER_TLS` is not set, likewise."],
            ["`DOCKER_CERT_PATH`", "The TLS files if `LOCALRUN_DOCKER_CERT_PATH` is not set."],
            ["`DOCKER_CONFIG`", "Docker's folder if `LOCALRUN_DOCKER_CONFIG` is not set."],
            ["`CONTAINER_HOST`", "Podman's address if `LOCALRUN_CONTAINER_HOST` is not set."],
            ["`XDG_RUNTIME_DIR`", "The folder of rootless sockets if `LOCALRUN_RUNTIME_DIR` is not set."],
            ["`XDG_CACHE_HOME`", "The parent folder of the cache if `LOCALRUN_CACHE` is not set."],
            ["`NO_COLOR`", "Disables colours if set."],
            ["`TERM`", "Whether the terminal supports cursor movement."],
            ["`LC_ALL`, `LC_CTYPE`, `LANG`", "Whether the terminal can show check marks."],
            ["`CI`", "If set, tests of [the pytest plugin](../pytest.md) fail without an engine."],
        ],
    )
    return made


def _row(field: msgspec.structs.FieldInfo, hint: Any) -> list[str]:
    kind, meta = get_args(hint)
    kinds = [each for each in get_args(kind) or (kind,) if each is not NoneType]
    bounds = [
        f"{words} {getattr(meta, name)}" for name, words in _SIGNS.items() if getattr(meta, name) is not None
    ]
    known = (
        _WITH_UNITS.get(field.name)
        or _KINDS.get(getattr(kinds[0], "__origin__", kinds[0]))
        or ", ".join(map(code, kinds))
    )  # or the values of a Literal
    takes = ", ".join([known, *bounds])
    return [
        code(PREFIX + field.name.upper()),
        str(meta.description).partition("; default: ")[0].rstrip(".") + ".",
        takes,
        _default(field.default, str(meta.description)),
    ]


def _default(value: Any, description: str) -> str:
    if value is None:
        return description.partition("; default: ")[2].rstrip(".") or "none"
    if description.startswith("Bytes"):
        return f"{code(value)} ({format_bytes(value)})"
    if isinstance(value, bool):
        return code(str(value).lower())
    return code(f"{value:g}" if isinstance(value, float) else value)
