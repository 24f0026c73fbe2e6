"""The options of `localrun run` for iExec apps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.platforms.iexec import IexecInputs
    from localrun.settings import Settings

_FLAGS = {
    "args": "--args",
    "input_files": "--input-file",
    "datasets": "--dataset",
    "secrets": "--secret",
    "app_secret": "--app-secret",
    "callback": "--callback",
}


def _secret(text: str) -> str:
    """Return a secret, read from a file if it is `@FILE`, which keeps it out of process lists."""
    if not text.startswith("@") or text.startswith("@@"):
        return text[1:] if text.startswith("@@") else text
    try:
        return Path(text[1:]).read_text("utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise click.BadParameter(f"cannot read {text[1:]}: {reason}") from error


def _numbered(text: str) -> tuple[str, str]:
    number, _, value = text.partition("=")
    if not value or not number.isdecimal() or number.startswith("0"):
        # the value is not repeated, because it may be the secret itself
        raise click.BadParameter("expected NUMBER=VALUE or NUMBER=@FILE, with a number from 1")
    return number, _secret(value)


with_iexec_options = options.combine(
    click.option(
        "--profile",
        type=click.Choice(["bundle", "iexec"]),
        help="Run BUNDLE as an iExec app: a Dockerfile folder, an image archive or an image.  "
        "[default: bundle]",
    ),
    click.option("--args", metavar="TEXT", help="iExec: arguments of the app, as one string."),
    click.option(
        "--input-file",
        "input_files",
        type=options.RAW,
        metavar="FILE",
        multiple=True,
        help="iExec: input file; a URL, or URL=@FILE for a local file under the URL's name.",
    ),
    click.option(
        "--dataset",
        "--protected-data",
        "datasets",
        type=options.RAW,
        metavar="FILE[:SHA256]",
        multiple=True,
        help="iExec: dataset; ADDRESS=@FILE names it, multiple datasets make a bulk.",
    ),
    click.option(
        "--secret",
        "--requester-secret",
        "secrets",
        type=_numbered,
        metavar="NUMBER=VALUE",
        multiple=True,
        help="iExec: requester secret; NUMBER=@FILE reads it from a file.",
    ),
    click.option(
        "--app-secret",
        type=_secret,
        metavar="VALUE",
        help="iExec: developer secret; @FILE reads it from a file.",
    ),
    options.flag("--callback", default=None, help="iExec: return the result to a contract."),
)


def pop_iexec_inputs(given: dict[str, Any], settings: Settings) -> IexecInputs | None:
    """Remove the iExec options from `given` and return them; None for another profile.

    Raises `UsageError` for iExec options without that profile.
    """
    given["profile"] = profile = given["profile"] or settings.defaults.run.get("profile", "bundle")
    found = {key: value for key in _FLAGS if (value := given.pop(key))}
    if profile == "iexec":
        from localrun.manager.defaults import iexec_inputs
        from localrun.platforms import iexec

        inputs = iexec_inputs({**found, "secrets": dict(found.get("secrets", ()))}, settings)
        return iexec.parse_inputs(inputs)
    if found:
        first = _FLAGS[next(iter(found))]
        raise UsageError(f"{first} needs --profile iexec", remedy=f"add `--profile iexec`, or omit {first}")
    return None
