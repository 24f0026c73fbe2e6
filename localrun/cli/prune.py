"""`localrun prune`: remove unused tasks, containers, images and files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode, code_for_error
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import is_terminal, print_err, print_out
from localrun.errors import LocalrunError
from localrun.units import format_bytes

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.maintenance.prune import PruneItem, PruneKind, PrunePlan, Pruner

_KINDS = ("task", "dead", "container", "image", "file", "cache")
_DIGITS = 12  # of a container ID or a digest


@click.command()
@click.option(
    "--older-than", type=options.DURATION, help="Remove tasks that ended longer ago, e.g. 12h or 7d."
)
@click.option("--keep", type=options.COUNT_OR_ZERO, help="Remove all but the COUNT newest ended tasks.")
@click.option("--cache", is_flag=True, help="Remove the cache of bundles, too.")
@click.option(
    "--only",
    type=click.Choice(_KINDS),
    multiple=True,
    help="Remove only this kind; repeatable.  [default: all but cache]",
)
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@options.as_json
@pass_context
def command(
    context: CliContext,
    *,
    older_than: float | None,
    keep: int | None,
    cache: bool,
    only: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """List unused objects and delete them with --yes or after a prompt.

    Unused are: ended tasks that --older-than and --keep select (with both, those that both select);
    containers and tasks of dead processes; images that localrun loaded or built and no task of this folder
    needs; and temporary files. Running tasks and all other images are never touched.
    """
    from localrun.maintenance.prune import PruneOptions

    kinds = frozenset(cast("Sequence[PruneKind]", only or _KINDS[:-1])) | ({"cache"} if cache else set())
    with context.app() as app:
        pruning = _pruning(app)
        proposal = pruning.plan(PruneOptions(older_than, keep, cast("frozenset[PruneKind]", kinds)))
        if as_json:
            return _as_json(pruning, proposal, delete=yes)
        _print(proposal)
        if not proposal.items or not (yes or _asked(context)):
            return ExitCode.FINISHED
        return _delete(pruning, proposal, context)


def _pruning(app: App) -> Pruner:
    from localrun.maintenance.prune import Pruner

    return Pruner(
        app.store,
        cache=app.settings.cache,
        ledger=app.ledger,
        engine=lambda: app.engine,
        remove=app.remove,
        sweep=lambda: app.recovery.end_orphans(),  # noqa: PLW0108 - connects to the engine only when called
    )


def _print(proposal: PrunePlan) -> None:
    for item in proposal.items:
        size = format_bytes(item.size) if item.size else ""
        print_out(f"{item.kind:<9}  {_name(item)}  {size:>9}  {escape_control_chars(item.why)}".rstrip())
    for note in proposal.notes:
        print_err(note)
    if proposal.items:
        objects = "1 object" if len(proposal.items) == 1 else f"{len(proposal.items)} objects"
        print_out(f"{objects}, {format_bytes(proposal.size)}")
    else:
        print_out("nothing to delete")


def _name(item: PruneItem) -> str:
    name = item.name
    if item.kind == "container":
        name = name[:_DIGITS]
    elif item.kind == "image":
        name = name[: name.index(":") + 1 + _DIGITS]  # also for an ID such as sha256:...
    return f"{escape_control_chars(name):<36}"


def _asked(context: CliContext) -> bool:
    """Ask on a terminal and return whether the answer is yes."""
    if not _can_ask(context):
        print_err("nothing was deleted; run `localrun prune --yes` to delete")
        return False
    return click.confirm("Delete all of this?", default=False)


def _can_ask(context: CliContext) -> bool:
    return sys.stdin.isatty() and is_terminal(sys.stdout, context.environ)


def _delete(pruning: Pruner, proposal: PrunePlan, context: CliContext) -> int:
    from localrun.console.report import report_error

    refused = list(_each(pruning, proposal.items))
    for _, error in refused:
        report_error(error, context.environ)
    size = proposal.size - sum(item.size for item, _ in refused)
    print_out(f"deleted {len(proposal.items) - len(refused)} of {len(proposal.items)}, {format_bytes(size)}")
    return code_for_error(refused[0][1]) if refused else ExitCode.FINISHED


def _each(pruning: Pruner, items: Iterable[PruneItem]) -> Iterable[tuple[PruneItem, LocalrunError]]:
    """Delete each item and yield those that could not be deleted, with the error."""
    for item in items:
        try:
            pruning.delete(item)
        except LocalrunError as error:
            yield item, error
        except OSError as error:
            yield (
                item,
                LocalrunError(
                    f"cannot delete {item.name}: {error.strerror}", remedy="delete it as its owner"
                ),
            )


def _as_json(pruning: Pruner, proposal: PrunePlan, *, delete: bool) -> int:
    from dataclasses import asdict

    from localrun.console.results import print_json

    refused = dict(_each(pruning, proposal.items)) if delete else {}
    items: list[dict[str, Any]] = []
    for item in proposal.items:
        error = refused.get(item)
        state = {"deleted": delete and error is None, "error": str(error) if error else None}
        items.append({**asdict(item), **state})
    print_json({"items": items, "size": proposal.size, "notes": list(proposal.notes)})
    return code_for_error(next(iter(refused.values()))) if refused else ExitCode.FINISHED
