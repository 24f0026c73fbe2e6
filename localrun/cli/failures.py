"""Errors that end a command, in the form of localrun's errors."""

from __future__ import annotations

import click

from localrun import fs
from localrun.console.streams import output_error
from localrun.errors import LocalrunError, UsageError, internal_error, out_of_memory
from localrun.suggestions import did_you_mean


def as_failure(error: Exception) -> LocalrunError:
    """Return any exception as an error that can be reported. A bug leaves its traceback in a file."""
    if isinstance(error, LocalrunError):
        return error
    if isinstance(error, click.UsageError):
        return _usage_error(error)
    lost = out_of_memory(error)
    if lost is not None:
        return lost
    if isinstance(error, OSError):
        return _system_error(error)
    return internal_error(error, _save_traceback())


def _system_error(error: OSError) -> LocalrunError:
    from localrun.settings import missing_working_directory

    lost = missing_working_directory()
    if lost is not None:
        return lost
    if error.filename is None and fs.is_disk_full(error):
        return output_error(error)
    place = f"{error.filename}: " if error.filename else ""
    hint = "check the path, its permissions and the free disk space"
    return LocalrunError(f"{place}{error.strerror or error}", remedy=hint)


def _usage_error(error: click.UsageError) -> UsageError:
    """Return an error of click in the form of localrun's errors."""
    hint = f"see `{error.ctx.command_path if error.ctx else 'localrun'} --help`"
    if isinstance(error, click.NoSuchOption):
        hint = _place_of(error) or did_you_mean(error.option_name, error.possibilities or ()) or hint
        return UsageError(f"unknown option {error.option_name!r}", remedy=hint)
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], remedy=hint)


def _place_of(error: click.NoSuchOption) -> str:
    """Return where to write an option of `localrun` itself; empty for others."""
    parents = [] if error.ctx is None or error.ctx.parent is None else error.ctx.find_root().command.params
    found = next((one for one in parents if error.option_name in one.opts), None)
    if found is None or error.ctx is None:
        return ""
    value = "" if getattr(found, "is_flag", False) else f" {found.make_metavar(error.ctx)}"
    root, _, command = error.ctx.command_path.partition(" ")
    return f"write it before the command: `{root} {error.option_name}{value} {command} ...`"


def _save_traceback() -> str:
    import tempfile
    import traceback

    text = traceback.format_exc()
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="localrun-traceback-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
    except OSError:
        return text
    return file.name
