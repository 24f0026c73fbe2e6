"""The settings, from their model."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import msgspec

from localrun.settings import PREFIX, Settings
from localrun.units import format_bytes

from chapters.page import Page, code

_KINDS: dict[Any, str] = {Path: "a path", str: "text", int: "a whole number", float: "a number"}
_SIGNS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def page() -> Page:
    """Every setting."""
    made = Page(
        "Settings",
        "Each is an environment variable. What is given as an option goes before it, and where "
        "neither is given the default holds. A value that does not fit ends the command with exit "
        "code 2, and all that do not fit are listed at once.",
    )
    hints = get_type_hints(Settings, include_extras=True)
    rows = [_row(field, hints[field.name]) for field in msgspec.structs.fields(Settings)]
    made.table(["variable", "is", "takes", "default"], rows)
    made.head("Others that are looked at")
    made.table(
        ["variable", "is"],
        [
            ["`LOCALRUN_TOKEN`", "What requests to `localrun serve` must bring."],
            ["`DOCKER_HOST`", "The engine's address, where `LOCALRUN_DOCKER_HOST` is not set."],
            ["`XDG_CACHE_HOME`", "Where `localrun/` is the cache, if `LOCALRUN_CACHE` is not set."],
            ["`NO_COLOR`", "If it is set, nothing is coloured."],
            ["`TERM`", "Whether a terminal can move its cursor."],
            ["`LC_ALL`, `LC_CTYPE`, `LANG`", "Whether it can show check marks."],
            ["`CI`", "If it is set, tests of [the pytest plugin](../pytest.md) fail without an engine."],
        ],
    )
    return made


def _row(field: msgspec.structs.FieldInfo, hint: Any) -> list[str]:
    kind, meta = get_args(hint)
    kinds = [each for each in get_args(kind) or (kind,) if each is not NoneType]
    bounds = [
        f"{words} {getattr(meta, name)}" for name, words in _SIGNS.items() if getattr(meta, name) is not None
    ]
    takes = ", ".join([_KINDS[kinds[0]], *bounds])
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
    return code(f"{value:g}" if isinstance(value, float) else value)
