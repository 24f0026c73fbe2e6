"""The settings, from their model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

import click
import msgspec

from localrun.cli import run, serve
from localrun.settings import PREFIX, Settings
from localrun.settings.loading import option_variables
from localrun.settings.options import LOCAL_PARSERS, PARSERS, SERVER_PARSERS
from localrun.units import format_bytes

from chapters.page import Page, code, sentence

_TASKS = sorted((*PARSERS, *LOCAL_PARSERS))
_NAMES = {"bind_mounts": "mounts", "opens": "open"}  # of a parameter that is called otherwise
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
        "Each setting is an environment variable, and a key of [a settings file](../settings.md): the part "
        "of the name after `LOCALRUN_`, in lower case. An option of the command line comes first, then the "
        "variable, the file of the project, the file of the user, and the default. If values are invalid, "
        "the command lists all of them and exits with code 2.",
    )
    hints = get_type_hints(Settings, include_extras=True)
    rows = [_row(field, hints[field.name]) for field in msgspec.structs.fields(Settings)]
    made.table(["variable", "meaning", "type", "default"], rows)
    _options(made, "Options of tasks", run.command, _TASKS, "", option_variables())
    _options(made, "Options of the server", serve.command, SERVER_PARSERS, "server", option_variables())
    made.head("Other variables")
    made.table(
        ["variable", "meaning"],
        [
            ["`HOME`", "The folder of the user, for settings files and the cache."],
            ["`XDG_CONFIG_HOME`", "The parent folder of the user's settings file, instead of `~/.config`."],
            ["`XDG_DATA_HOME`", "Where `localrun trust` keeps its list, instead of `~/.local/share`."],
            ["`LOCALRUN_REMOTE_TOKEN`", "The bearer token for the server of `upload` and `run --remote`."],
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


def _options(
    made: Page,
    title: str,
    command: click.Command,
    keys: Iterable[str],
    table: str,
    variables: Mapping[tuple[str, ...], str],
) -> None:
    """Add a table of options, which have the names and the descriptions of the command's options."""
    params = {
        _NAMES.get(str(one.name), one.name): one
        for one in reversed(command.params)  # of multiple options for one value, the first
        if isinstance(one, click.Option)
    }
    made.head(title)
    where = f"the table `[{table}]`" if table else "the top level"
    made.prose(f"These are keys of {where} of a settings file. Those with a single value are also variables.")
    rows = []
    for key in keys:
        option = params[key]
        variable = variables.get((table, key) if table else (key,))
        shown = option.opts[-1] + (f" {option.metavar}" if option.metavar and option.multiple else "")
        text = str(option.help).partition("  [")[0]
        rows.append([code(key), code(shown), sentence(text), code(variable) if variable else ""])
    made.table(["key", "option", "meaning", "variable"], rows)


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
