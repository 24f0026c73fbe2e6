"""`localrun doctor`: check that this machine can run tasks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun._version import __version__
from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.remote import TOKEN as REMOTE_TOKEN
from localrun.console.display.sanitize import escape_lines
from localrun.console.streams import is_terminal, print_json, print_out
from localrun.errors import UsageError
from localrun.suggestions import did_you_mean

if TYPE_CHECKING:
    from localrun.maintenance.doctor import Check
    from localrun.settings import Settings

_REPORT = "localrun-report.md"
_COLOURS = {"ok": "32", "warn": "33", "fail": "31"}

Found = tuple[str, "Check"]


@click.command()
@click.option(
    "--report",
    type=options.FILE,
    metavar="[FILE]",
    is_flag=False,
    flag_value=_REPORT,
    help=f"Write what a bug report needs to FILE ({_REPORT} if omitted, - for the terminal).",
)
@options.as_json
@pass_context
def command(context: CliContext, /, *, report: Path | None, as_json: bool) -> int:
    """Check that this machine can run tasks: settings, engine, limits, memory, disks, folders and leftovers.

    Each check is ok, warn or fail, with a hint. Nothing is changed. The exit code is 8 if a check failed,
    else 0.

    --report writes the checks, the settings and the latest task that failed, with its log. Secrets are
    masked. Read the file before you attach it to a bug report.
    """
    found = list(_checks(context))
    failed = [check for _, check in found if check.status == "fail"]
    written = None if report is None else _write_report(context, report, found, to_stdout=not as_json)
    if as_json:
        checks = [{"section": section, **check.as_dict()} for section, check in found]
        print_json({"ok": not failed, "checks": checks} | ({"report": written} if written else {}))
    elif report is None:
        _print(found, context.environ)
    elif written:
        print_out(f"wrote {escape_lines(written)}; read it before you share it")
    return ExitCode.UNHEALTHY if failed else ExitCode.FINISHED


def _write_report(context: CliContext, path: Path, found: list[Found], *, to_stdout: bool) -> str:
    """Write or print the report, and return the path of the file, if there is one."""
    from localrun import fs
    from localrun.maintenance.doctor.report import make_report
    from localrun.task.store import TaskStore

    settings, _ = _settings(context)
    text = make_report(__version__, found, TaskStore(settings.home), context.environ)
    if str(path) == "-" and to_stdout:
        print_out(text.rstrip("\n"))
        return ""
    try:
        with fs.atomic_file(path) as temp:
            temp.touch(0o600)
            temp.write_text(text, "utf-8", "backslashreplace")
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise UsageError(message, remedy="choose another file: `localrun doctor --report FILE`") from error
    return str(path.absolute())


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
    """Return the settings without invalid ones, and the checks of all."""
    from localrun import settings
    from localrun.maintenance.doctor import fail

    environ, checks = dict(context.environ), []
    try:
        made = context.settings
    except UsageError as error:
        for problem in error.problems:
            name = problem.path or problem.file
            remedy = problem.remedy or (f"correct {problem.file}" if problem.file else "")
            place = problem.where.removesuffix(problem.path).strip()
            message = f"{place}: {problem.message}" if place else problem.message
            checks.append(fail(name, message, remedy or f"correct it, or `unset {name}`"))
            environ.pop(name, None)
        with_files = not any(problem.file for problem in error.problems)
        made = settings.load(environ, with_files=with_files, home=context.home)
    return made, [*checks, *_unknown(context.environ), *_unread(context.environ), *_values(made)]


def _unread(environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield a warning for each other file next to the settings of the user."""
    from localrun.maintenance.doctor import warn
    from localrun.settings.files import user_file

    path = user_file(environ)
    for other in sorted(path.parent.glob("*.toml")) if path is not None else ():
        if other != path:
            yield warn(other.name, f"{other} is not read", f"move its settings to {path}")


def _values(made: Settings) -> Iterator[Check]:
    """Yield each value with its origin; the defaults together."""
    from localrun.maintenance.doctor import ok, warn
    from localrun.masking.redaction import Redactor
    from localrun.settings.model import FIELDS

    defaults = made.defaults
    values: dict[str, Any] = {name: getattr(made, name) for name in FIELDS}
    tables = {name: value for name, value in defaults.run.items() if isinstance(value, dict)}
    values |= {name: value for name, value in defaults.run.items() if name not in tables}
    for table, items in {**tables, "inputs": defaults.inputs, "server": defaults.server}.items():
        values |= {f"{table}.{name}": value for name, value in items.items()}
    shown = Redactor().redact(values)
    for name, origin in defaults.origins.items():
        text, facts = f"{_text(shown[name])} ({origin})", {"value": shown[name], "origin": origin}
        if blocked := defaults.blocked.get(name):
            yield warn(name, f"{text}: {blocked.message}", blocked.remedy, **facts)
        else:
            yield ok(name, text, **facts)
    others = {name: shown[name] for name in FIELDS if name not in defaults.origins}
    yield ok("defaults", ", ".join(f"{name}={_text(value)}" for name, value in others.items()), **others)


def _text(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _unknown(environ: Mapping[str, str]) -> Iterator[Check]:
    from localrun.maintenance.doctor import warn
    from localrun.settings.loading import option_variables

    known = sorted(_names().union(option_variables().values(), [REMOTE_TOKEN]))
    for name in environ:
        if name.startswith("LOCALRUN_") and name not in known:
            guess = did_you_mean(name, known)
            yield warn(name, "unknown setting (ignored)", guess or f"unset {name}")


def _names() -> set[str]:
    from localrun.settings.loading import VARIABLES

    return set(VARIABLES.values())


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
