"""`localrun prune`: remove unused tasks, containers, images and files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import is_terminal, print_err, print_json, print_out
from localrun.errors import LocalrunError
from localrun.units import format_bytes, format_count

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.maintenance.prune import PruneItem, PruneKind, PrunePlan, Pruner

_KINDS = ("task", "batch", "dead", "container", "image", "file", "cache")
_DIGITS = 12  # of a container ID or a digest
_MAX_SKIPPED = 10


@click.command()
@click.option(
    "--older-than", type=options.DURATION, help="Remove tasks and batches that ended before, e.g. 7d."
)
@click.option("--keep", type=options.COUNT_OR_ZERO, help="Remove all but the COUNT newest tasks and batches.")
@options.flag("--cache", help="Remove the cache of bundles, too.")
@click.option(
    "--only",
    type=click.Choice(_KINDS),
    multiple=True,
    help="Remove only this kind; repeatable.  [default: all but cache]",
)
@options.flag("--all-folders", help="Include images of other folders, and containers without a record.")
@options.flag("-y", "--yes", help="Delete without asking.")
@options.as_json
@pass_context
def command(
    context: CliContext, /, *, cache: bool, only: tuple[str, ...], yes: bool, as_json: bool, **wishes: Any
) -> int:
    """List unused objects and delete them with --yes or after a prompt.

    Unused are: ended tasks and batches that --older-than and --keep select (with both, those that both
    select); containers and tasks of dead processes; images that localrun loaded or built for tasks of this
    folder and none needs any more; and temporary files. Running tasks and all other images are never touched.

    A task that the results of a kept batch name is kept, and one whose result was reused counts from then.

    Images that localrun made for other folders, and containers whose task has no record, are only listed
    unless --all-folders is given.
    """
    from localrun.maintenance.prune import PruneOptions

    kinds = frozenset(cast("Sequence[PruneKind]", only or _KINDS[:-1])) | ({"cache"} if cache else set())
    with context.app() as app:
        pruner = _pruner(app)
        plan = pruner.plan(PruneOptions(kinds=cast("frozenset[PruneKind]", kinds), **wishes))
        if as_json:
            return _as_json(pruner, plan, delete=yes)
        _print(plan)
        if not plan.items or not (yes or _is_confirmed(context)):
            return ExitCode.FINISHED
        return _delete(pruner, plan, context)


def _pruner(app: App) -> Pruner:
    from localrun.maintenance.prune import Pruner

    return Pruner(
        app.store,
        cache=app.settings.cache,
        ledger=app.ledger,
        engine=lambda: app.engine,
        remove=app.remove,
        sweep=lambda: app.recovery.end_orphans(),  # noqa: PLW0108 - connects to the engine only when called
    )


def _print(plan: PrunePlan) -> None:
    for item in plan.items:
        print_out(_line(item))
    for note in plan.notes:
        print_err(note)
    if plan.skipped:
        size = format_bytes(sum(item.size for item in plan.skipped))
        print_out(f"not of this folder ({size}); deleted only with --all-folders:")
        for item in plan.skipped[:_MAX_SKIPPED]:
            print_out(f"  {_line(item)}")
        if len(plan.skipped) > _MAX_SKIPPED:
            print_out(f"  and {len(plan.skipped) - _MAX_SKIPPED} more")
    if plan.items:
        print_out(f"{format_count(len(plan.items), 'object')}, {format_bytes(plan.size)}")
    else:
        print_out("nothing to delete")


def _line(item: PruneItem) -> str:
    size = format_bytes(item.size) if item.size else ""
    return f"{item.kind:<9}  {_name(item)}  {size:>9}  {escape_control_chars(item.why)}".rstrip()


def _name(item: PruneItem) -> str:
    name = item.name
    if item.kind == "container":
        name = name[:_DIGITS]
    elif item.kind == "image":
        name = name[: name.index(":") + 1 + _DIGITS]  # also for an ID such as sha256:...
    return f"{escape_control_chars(name):<36}"


def _is_confirmed(context: CliContext) -> bool:
    if not _can_ask(context):
        print_err("nothing was deleted; run `localrun prune --yes` to delete")
        return False
    return click.confirm("Delete all of this?", default=False)


def _can_ask(context: CliContext) -> bool:
    return sys.stdin.isatty() and is_terminal(sys.stdout, context.environ)


def _delete(pruner: Pruner, plan: PrunePlan, context: CliContext) -> int:
    failures = list(_delete_each(pruner, plan.items))
    codes = [context.report(error) for _, error in failures]
    size = plan.size - sum(item.size for item, _ in failures)
    print_out(f"deleted {len(plan.items) - len(failures)} of {len(plan.items)}, {format_bytes(size)}")
    return codes[0] if codes else ExitCode.FINISHED


def _delete_each(pruner: Pruner, items: Iterable[PruneItem]) -> Iterable[tuple[PruneItem, LocalrunError]]:
    """Delete each item and yield those that could not be deleted, with the error."""
    for item in items:
        try:
            pruner.delete(item)
        except LocalrunError as error:
            yield item, error
        except OSError as error:
            message = f"cannot delete {item.name}: {error.strerror}"
            yield item, LocalrunError(message, remedy="delete it as its owner")


def _as_json(pruner: Pruner, plan: PrunePlan, *, delete: bool) -> int:
    failures = dict(_delete_each(pruner, plan.items)) if delete else {}
    errors = {item: str(error) for item, error in failures.items()}
    items = [
        {**asdict(item), "deleted": delete and item not in errors, "error": errors.get(item)}
        for item in plan.items
    ]
    skipped = [asdict(item) for item in plan.skipped]
    print_json({"items": items, "size": plan.size, "notes": list(plan.notes), "skipped": skipped})
    return code_for_error(next(iter(failures.values()))) if failures else ExitCode.FINISHED
