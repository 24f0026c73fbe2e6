"""The options of `localrun run` that say what an iExec app is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from localrun.errors import UsageError

if TYPE_CHECKING:
    from localrun.platforms.iexec import IexecInputs

_FLAGS = {
    "args": "--args",
    "input_files": "--input-file",
    "datasets": "--dataset",
    "secrets": "--secret",
    "app_secret": "--app-secret",
    "callback": "--callback",
}


def _secret(text: str) -> str:
    """A secret as it is, or `@FILE`: what stands in a file, where no list of processes shows it."""
    if not text.startswith("@") or text.startswith("@@"):
        return text[1:] if text.startswith("@@") else text
    try:
        return Path(text[1:]).read_text("utf-8").removesuffix("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise click.BadParameter(f"{text[1:]} cannot be read: {reason}") from error


def _numbered(text: str) -> tuple[str, str]:
    number, _, value = text.partition("=")
    if not value or not number.isdecimal() or number.startswith("0"):
        # what was given is not repeated: it may be the secret itself
        raise click.BadParameter("a secret is N=VALUE or N=@FILE, with a number from 1")
    return number, _secret(value)


_OPTIONS = (
    click.option(
        "--profile",
        type=click.Choice(["bundle", "iexec"]),
        default="bundle",
        show_default=True,
        help="Run it as an iExec app: BUNDLE is a folder with a Dockerfile, an image archive, or an image.",
    ),
    click.option("--args", metavar="TEXT", help="iExec: the arguments of the app, in one text."),
    click.option(
        "--input-file",
        "input_files",
        metavar="FILE",
        multiple=True,
        help="iExec: an input file; URL, or URL=@FILE for one that has the name of that URL.",
    ),
    click.option(
        "--dataset",
        "--protected-data",
        "datasets",
        metavar="FILE[:SHA256]",
        multiple=True,
        help="iExec: a dataset; ADDRESS=@FILE gives it a name; several are a bulk.",
    ),
    click.option(
        "--secret",
        "--requester-secret",
        "secrets",
        type=_numbered,
        metavar="N=VALUE",
        multiple=True,
        help="iExec: a requester's secret; N=@FILE reads it from a file.",
    ),
    click.option("--app-secret", type=_secret, metavar="VALUE", help="iExec: the developer's; or @FILE."),
    click.option("--callback", is_flag=True, default=None, help="iExec: the result is for a contract."),
)


def with_iexec_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of an order."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), function)


def pop_iexec_inputs(given: dict[str, Any]) -> IexecInputs | None:
    """Take the options of an order out of those of a command; None for the task of a bundle.

    Raises `UsageError` for options that only an iExec app has.
    """
    profile = given.pop("profile")
    found = {key: value for key in _FLAGS if (value := given.pop(key))}
    if profile == "iexec":
        from localrun.platforms import iexec

        return iexec.parse_inputs({**found, "secrets": dict(found.get("secrets", ()))})
    if found:
        first = _FLAGS[next(iter(found))]
        raise UsageError(f"{first} is for iExec apps", remedy="add `--profile iexec`, or leave it out")
    return None
