"""Shell completion of task IDs, files, inputs and terms.

Errors are not shown, because they would appear in the line that is being typed: nothing is offered instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from localrun import fs
from localrun.errors import LocalrunError
from localrun.task.store import LAST, TaskStore
from localrun.units import format_duration

if TYPE_CHECKING:
    import click

    from localrun.descriptor import Parameter
    from localrun.task.record import TaskRecord

_MAX_TASKS = 50  # newest tasks to offer
_MAX_FILES = 500  # files to read
_FILE_TYPES = ("file", "image", "geometry", "array")

Items = list[CompletionItem]


def tasks(ctx: click.Context, incomplete: str) -> Items:
    """Complete the ID of one of the newest tasks, or `last`."""
    try:
        home = _home(ctx)
    except LocalrunError:  # of the settings
        return []
    found = filter(None, (workspace.load_or_none() for workspace in home.newest_first()))
    newest = list(islice((record for record in found if record.replica is None), _MAX_TASKS))
    if not newest:
        return []
    last = CompletionItem(LAST, help=_describe_task(newest[0]))
    digits = None if len(incomplete) > 8 else 8
    named = [CompletionItem(record.id[:digits], help=_describe_task(record)) for record in newest]
    return [item for item in (last, *named) if item.value.startswith(incomplete)]


def _describe_task(record: TaskRecord) -> str:
    age = format_duration(max(time.time() - record.created, 0.0))
    return ", ".join(part for part in (record.cause or str(record.state), record.name, f"{age} ago") if part)


def files(ctx: click.Context, incomplete: str) -> Items:
    """Complete an output file of the task in the line, except the files that the line already has."""
    from localrun.task.lookup import find
    from localrun.values.listing import list_folder

    try:
        found = list_folder(find(_home(ctx), ctx.params.get("task_id") or "").outputs, _MAX_FILES).entries
    except (LocalrunError, OSError):
        return []
    given = ctx.params.get("files") or ()
    names = (entry.path for entry in found if entry.kind == "file" and entry.path not in given)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def inputs(ctx: click.Context, incomplete: str) -> Items:
    """Complete the name, then the value, of an input of the bundle in the line."""
    try:
        parameters = _parameters(ctx)
    except (LocalrunError, OSError, ValueError):
        return []
    name, equals, typed = incomplete.partition("=")
    if not equals:
        given = {pair.partition("=")[0] for pair in ctx.params.get("assignments") or ()}
        return [
            CompletionItem(f"{one.name}=", help=_describe_input(one))
            for one in parameters.values()
            if one.name.startswith(name) and (one.name not in given or one.type.id == "array")
        ]
    return [CompletionItem(f"{name}={value}") for value in _values(parameters.get(name), typed)]


def _describe_input(parameter: Parameter) -> str:
    need = "optional" if parameter.optional or parameter.has_default else "required"
    return f"{parameter.type.id}, {need}: {' '.join(parameter.description.split())}"


def _parameters(ctx: click.Context) -> dict[str, Parameter]:
    """Return the inputs of the bundle or task in the line. Raises `LocalrunError` or `OSError`."""
    argument = next(param.name for param in ctx.command.params if param.param_type_name == "argument")
    # click stops parsing at a trailing `-i`: the argument may still be among the rest
    found = ctx.params.get(argument or "") or next(iter(ctx.args), None)
    if not found:
        return {}
    found = found[0] if isinstance(found, tuple) else found
    if argument in ("task_id", "task_ids"):
        from localrun import descriptor
        from localrun.task.lookup import find

        return descriptor.read(fs.read_regular(find(_home(ctx), found).descriptor)).inputs
    from localrun import settings
    from localrun.bundle.reader import read_bundle

    # only the descriptor is needed, any image will do
    cache = settings.load(ctx.obj.environ).cache
    return read_bundle(Path(found), image="-", cache=cache).descriptor.inputs


def _values(parameter: Parameter | None, typed: str) -> Iterator[str]:
    if parameter is None:
        return
    kind = parameter.type
    words = ("true", "false") if kind.id == "boolean" else getattr(kind, "values", ())
    if words:
        yield from (word for word in words if word.startswith(typed))
    elif typed.startswith("@"):
        yield from (f"@{path}" for path in _paths(typed[1:]))
    elif kind.id in _FILE_TYPES and not typed:
        yield "@"


def _paths(typed: str) -> Iterator[str]:
    """Yield the files and folders that the typed path may become; folders end with `/`."""
    folder, slash, part = typed.rpartition("/")
    try:
        # Path.expanduser raises for unknown users
        entries = sorted(Path(os.path.expanduser(folder or slash or ".")).iterdir())  # noqa: PTH111
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(part) and (part.startswith(".") or not entry.name.startswith(".")):
            yield f"{folder}{slash}{entry.name}" + ("/" if entry.is_dir() else "")


def terms(_: click.Context, incomplete: str) -> Items:
    """Complete a term of `localrun explain`, ignoring letter case."""
    from localrun.platforms.vocabulary import glossary

    names = {word.name: word for word in reversed(glossary.terms())}
    prefix = incomplete.lower()
    found = sorted(name for name in names if name.lower().startswith(prefix))
    return [CompletionItem(name, help=names[name].meaning) for name in found]


def _home(ctx: click.Context) -> TaskStore:
    from localrun import settings

    given = ctx.find_root().params.get("home")
    return TaskStore(settings.load(ctx.obj.environ, home=given).home)
