"""`localrun doctor`: check that this machine can run tasks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

import click

from localrun._version import __version__
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_json, print_out
from localrun.errors import UsageError
from localrun.suggestions import did_you_mean

if TYPE_CHECKING:
    from localrun.maintenance.doctor import Check
    from localrun.settings import Settings

_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}
_ALSO = frozenset({"LOCALRUN_TOKEN"})  # read by the server, not a setting

Found = tuple[str, "Check"]


@click.command()
@options.as_json
@pass_context
def command(context: CliContext, as_json: bool) -> int:
    """Check that this machine can run tasks: settings, engine, limits, memory, disks, folders and leftovers.

    Each check is ok, warn or fail, with a hint. Nothing is changed. The exit code is 8 if a check failed,
    else 0.
    """
    found = list(_checks(context))
    failed = [check for _, check in found if check.status == "fail"]
    if as_json:
        checks = [{"section": section, **check.as_dict()} for section, check in found]
        print_json({"ok": not failed, "checks": checks})
    else:
        _print(found, context.environ)
    return ExitCode.UNHEALTHY if failed else ExitCode.FINISHED


def _checks(context: CliContext) -> Iterator[Found]:
    from localrun.maintenance.doctor import check_all

    settings, checks = _settings(context)
    yield from (("settings", check) for check in checks)
    app = context.make_app(settings)
    try:
        yield from check_all(__version__, settings, app.ledger, lambda: app.engine)
    finally:
        app.close()


def _settings(context: CliContext) -> tuple[Settings, list[Check]]:
    """Return the settings without invalid variables, and the checks of the variables."""
    from localrun import settings
    from localrun.maintenance.doctor import fail, ok
    from localrun.masking.redaction import Redactor

    environ, checks = dict(context.environ), []
    try:
        made = settings.load(environ, home=context.home)
    except UsageError as error:
        for problem in error.problems:
            checks.append(fail(problem.path, problem.message, f"correct it, or `unset {problem.path}`"))
            environ.pop(problem.path, None)
        made = settings.load(environ, home=context.home)
    checks += _unknown(context.environ)
    hide = Redactor().redact_text
    known = {name: hide(value) for name, value in environ.items() if name in _names()}
    values_text = ", ".join(f"{name}={value}" for name, value in known.items()) or "all defaults"
    return made, checks or [ok("settings", values_text, **known)]


def _unknown(environ: Mapping[str, str]) -> Iterator[Check]:
    from localrun.maintenance.doctor import warn

    for name in environ:
        if name.startswith("LOCALRUN_") and name not in _names() | _ALSO:
            guess = did_you_mean(name, sorted(_names()))
            yield warn(name, "unknown setting (ignored)", guess or f"unset {name}")


def _names() -> set[str]:
    from localrun.settings import PREFIX, Settings

    return {PREFIX + field.upper() for field in Settings.__struct_fields__}


def _print(found: list[Found], environ: Mapping[str, str]) -> None:
    colours = is_terminal(sys.stdout, environ) and not environ.get("NO_COLOR")
    width = max(len(check.name) for _, check in found)
    for section, group in groupby(found, key=lambda one: one[0]):
        print_out(section)
        for _, check in group:
            mark = f"{check.status:<4}"
            if colours:
                mark = f"\x1b[{_COLOURS[check.status]}m{mark}\x1b[0m"
            print_out(f"  {mark}  {check.name:<{width}}  {escape_lines(check.message)}")
            if check.remedy:
                print_out(f"        {'':<{width}}  hint: {escape_lines(check.remedy)}")
    counts = {status: sum(check.status == status for _, check in found) for status in _COLOURS}
    print_out(f"{counts['ok']} ok, {counts['warn']} warn, {counts['fail']} fail")
