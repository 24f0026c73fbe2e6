"""What may stand for an id, an input or a word while it is being typed: for completion in a shell.

Whatever goes wrong here is not told: somebody is in the middle of a line. There is nothing to offer, then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from localrun.errors import LocalrunError
from localrun.task.store import LAST, TaskStore
from localrun.units import format_duration

if TYPE_CHECKING:
    import click

    from localrun.descriptor import Parameter
    from localrun.task.record import TaskRecord

_MOST = 50  # tasks that are offered, the newest
_MOST_FILES = 500  # that are looked at
_FILES = ("file", "image", "geometry", "array")

Items = list[CompletionItem]


def tasks(ctx: click.Context, incomplete: str) -> Items:
    """The newest tasks by the beginning of their ids, and `last`."""
    found = filter(None, (workspace.load_or_none() for workspace in _home(ctx).newest_first()))
    newest = list(islice((record for record in found if record.replica is None), _MOST))
    if not newest:
        return []
    last = CompletionItem(LAST, help=_about(newest[0]))
    named = [CompletionItem(_short(record.id, incomplete), help=_about(record)) for record in newest]
    return [item for item in (last, *named) if item.value.startswith(incomplete)]


def _short(task_id: str, incomplete: str) -> str:
    """Eight letters, or all where more have been typed."""
    return task_id[:8] if len(incomplete) <= 8 else task_id


def _about(record: TaskRecord) -> str:
    age = format_duration(max(time.time() - record.created_at, 0.0))
    return ", ".join(part for part in (record.cause or str(record.state), record.name, f"{age} ago") if part)


def files(ctx: click.Context, incomplete: str) -> Items:
    """The files that the task which stands in the line has written, but for those that stand there too."""
    from localrun.task.lookup import find
    from localrun.values.listing import list_folder

    try:
        found = list_folder(find(_home(ctx), ctx.params.get("task_id") or "").outputs, _MOST_FILES).entries
    except (LocalrunError, OSError):
        return []
    given = ctx.params.get("files") or ()
    names = (leaf.path for leaf in found if leaf.kind == "file" and leaf.path not in given)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def inputs(ctx: click.Context, incomplete: str) -> Items:
    """The inputs of the bundle that stands in the line: first their names, then what they may be."""
    try:
        parameters = _parameters(ctx)
    except (LocalrunError, OSError, ValueError):
        return []
    name, equals, begun = incomplete.partition("=")
    if not equals:
        given = {pair.partition("=")[0] for pair in ctx.params.get("assignments") or ()}
        return [
            CompletionItem(f"{one.name}=", help=_said(one))
            for one in parameters.values()
            if one.name.startswith(name) and (one.name not in given or one.type.id == "array")
        ]
    return [CompletionItem(f"{name}={value}") for value in _values(parameters.get(name), begun)]


def _said(parameter: Parameter) -> str:
    need = "optional" if parameter.optional or parameter.has_default else "required"
    return f"{parameter.type.id}, {need}: {' '.join(parameter.description.split())}"


def _parameters(ctx: click.Context) -> dict[str, Parameter]:
    """Those of the bundle, or of the task that is to run again. Raises `LocalrunError`, `OSError`."""
    argument = next(param.name for param in ctx.command.params if param.param_type_name == "argument")
    # a line that ends with `-i` is not parsed to its end: then the argument is still among the rest
    found = ctx.params.get(argument or "") or next(iter(ctx.args), None)
    if not found:
        return {}
    if argument == "task_id":
        from localrun import descriptor
        from localrun.task.lookup import find

        return descriptor.read(find(_home(ctx), found).descriptor.read_bytes()).inputs
    from localrun import settings
    from localrun.bundle.reader import read_bundle

    # the image is not looked at, and none is needed to know what the descriptor says
    cache = settings.load(ctx.obj.environ).cache
    return read_bundle(Path(found), image="-", cache=cache).descriptor.inputs


def _values(parameter: Parameter | None, begun: str) -> Iterator[str]:
    if parameter is None:
        return
    kind = parameter.type
    if kind.id == "boolean":
        yield from _starting(begun, ("true", "false"))
    elif kind.id == "enumeration":
        yield from _starting(begun, kind.values)  # type: ignore[attr-defined]  # the type of that id has them
    elif begun.startswith("@"):
        yield from (f"@{path}" for path in _paths(begun[1:]))
    elif kind.id in _FILES and not begun:
        yield "@"


def _starting(begun: str, words: Iterable[str]) -> Iterator[str]:
    return (word for word in words if word.startswith(begun))


def _paths(begun: str) -> Iterator[str]:
    """Files and folders below the folder that was typed, as they are typed; folders end with `/`."""
    folder, slash, part = begun.rpartition("/")
    try:
        # Path's own expansion raises for a user that there is not
        entries = sorted(Path(os.path.expanduser(folder or slash or ".")).iterdir())  # noqa: PTH111
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(part) and (part.startswith(".") or not entry.name.startswith(".")):
            yield f"{folder}{slash}{entry.name}" + ("/" if entry.is_dir() else "")


def terms(_: click.Context, incomplete: str) -> Items:
    """What `localrun explain` knows, whatever its letter case."""
    from localrun.platforms.vocabulary import glossary

    names = {word.name: word for word in reversed(glossary.terms())}
    wanted = incomplete.lower()
    return [
        CompletionItem(name, help=word.meaning)
        for name, word in sorted(names.items())
        if name.lower().startswith(wanted)
    ]


def _home(ctx: click.Context) -> TaskStore:
    from localrun import settings

    given = ctx.find_root().params.get("home")
    return TaskStore(settings.load(ctx.obj.environ, home=given).home)
