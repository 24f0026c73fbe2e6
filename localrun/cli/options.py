"""Options, arguments and parameter types that multiple commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from localrun import units
from localrun.errors import UsageError
from localrun.undecodable import escape, is_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from localrun.bundle.images.build_options import FolderBuild
    from localrun.engines.base import BuildSecret
    from localrun.settings import Settings
    from localrun.task.record import BindMount

_MOST_DIGITS = 18  # of a count
_MIN_MEMORY = 6 * 1024**2  # Docker's own minimum
_MIN_INTERVAL = 0.1  # seconds between two refreshes

Value = TypeVar("Value")


def param_type(
    name: str, parse: Callable[[str], Value], *, allow_bytes: bool = False
) -> Callable[[str], Value]:
    """Return a click type with this metavar; a `ValueError` of `parse` becomes the error message.

    With `allow_bytes` the text may contain a file name that is not UTF-8.
    """

    def convert(text: str) -> Value:
        if not (allow_bytes or is_text(str(text))):
            raise click.BadParameter(f"'{escape(text)}' is not UTF-8")
        try:
            return parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    convert.__name__ = name
    return convert


def _cpus(text: str) -> float:
    try:
        cpus = float(text)
    except ValueError:
        cpus = 0.0
    if not 0 < cpus < float("inf"):
        raise ValueError(f"{text!r} is not a number of CPUs; expected e.g. 2 or 0.5")
    return cpus


def _memory(text: str) -> int:
    size = units.parse_bytes(text)
    if size < _MIN_MEMORY:
        raise ValueError(f"{text!r} is less than the minimum of 6 MiB; expected e.g. 512Mi")
    return size


def _interval(text: str) -> float:
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a number of seconds; pass the ID before --watch") from error
    return max(seconds, _MIN_INTERVAL)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ValueError(f"{text!r} is not KEY=VALUE")
    return key, value


def _region(text: str) -> str:
    """Return the assignment that crops an image, as `values` names it."""
    from localrun.values.region_names import parse_region_name

    name, _, value = text.partition("=")
    if not value or parse_region_name(f"{name}.crop") is None:
        expected = "image=@annotation.geojson or images[0]=@annotation.geojson"
        raise ValueError(f"{text!r} is not IMAGE=@FILE; expected e.g. {expected}")
    return f"{name}.crop={value}"


def _secret(text: str) -> BuildSecret:
    from localrun.bundle.images.build_options import parse_secret

    return parse_secret(text, os.environ)


def _context(text: str) -> tuple[str, str]:
    from localrun.bundle.images.build_options import parse_context

    return parse_context(text)


def _mount(text: str) -> BindMount:
    from localrun.task.bind_mounts import parse_mount

    return parse_mount(text)


def _platform(text: str) -> str:
    from localrun.engines.architectures import parse_platform

    return str(parse_platform(text))


def _count(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = str(text)  # click converts the default too, which is a number
        if not digits.isdecimal() or len(digits) > _MOST_DIGITS or int(digits) < minimum:
            raise ValueError(f"{text!r} is not an integer of at least {minimum}")
        return int(text)

    return parse


class Repeated(click.Option):
    """An option that can be repeated. All invalid values are reported at once."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        problems = []
        for each in value or ():
            try:
                self.type.convert(each, self, ctx)
            except click.BadParameter as error:
                problems.append(error.message)
        if len(problems) > 1:
            raise click.BadParameter("; ".join(problems), ctx, self)
        return super().type_cast_value(ctx, value)


CPUS = param_type("CPUS", _cpus)
MEMORY = param_type("SIZE", _memory)
DURATION = param_type("DURATION", units.parse_duration)
PAIR = param_type("KEY=VALUE", _pair)
REGION = param_type("NAME=VALUE", _region, allow_bytes=True)
SIZE = param_type("SIZE", units.parse_bytes)
COUNT = param_type("COUNT", _count(1))
COUNT_OR_ZERO = param_type("COUNT", _count(0))


class _Path(click.Path):
    """A path in which `~` is expanded: shells do not expand it in `--output=~/x`.

    An empty path, e.g. of a variable that is not set, is refused: it would be the working directory.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            self.fail("the path is empty", param, ctx)
        return super().convert(os.path.expanduser(value), param, ctx)  # noqa: PTH111 - never raises


PATH = _Path(path_type=Path)
PATH_TEXT = _Path()
FILE = _Path(path_type=Path, dir_okay=False)
DIR = _Path(path_type=Path, file_okay=False)
RAW = click.UNPROCESSED  # a text that may contain a file name with bytes that are not UTF-8

Pairs = tuple[tuple[str, str], ...]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def combine(*decorators: Decorator) -> Decorator:
    """Return a decorator that adds options in this order."""
    return lambda function: reduce(lambda decorated, add: add(decorated), reversed(decorators), function)


flag = partial(click.option, is_flag=True)
with_default = partial(click.option, show_default=True)
image = click.option("--image", metavar="IMAGE", help="Use this image instead of the bundle's.")
build_options = combine(
    click.option(
        "-f", "--file", "dockerfile", type=FILE, metavar="FILE", help="Dockerfile.  [default: in the bundle]"
    ),
    click.option(
        "--context", "context", type=DIR, metavar="DIR", help="Build context.  [default: the bundle's folder]"
    ),
    click.option("--target", metavar="STAGE", help="Stage of the Dockerfile to build.  [default: the last]"),
    click.option(
        "--build-arg",
        "build_args",
        cls=Repeated,
        type=PAIR,
        multiple=True,
        help="Build argument for the Dockerfile.",
    ),
    click.option(
        "--build-secret",
        "build_secrets",
        cls=Repeated,
        type=param_type("SECRET", _secret, allow_bytes=True),
        metavar="id=ID,src=FILE|env=VAR",
        multiple=True,
        help="Secret for the build; it is not stored.",
    ),
    click.option(
        "--build-context",
        "build_contexts",
        cls=Repeated,
        type=param_type("CONTEXT", _context),
        metavar="NAME=docker-image://REFERENCE",
        multiple=True,
        help="Image to use for NAME in FROM or COPY --from.",
    ),
    click.option(
        "--platform",
        type=param_type("PLATFORM", _platform),
        help="Platform of the image, e.g. linux/arm64.  [default: the engine's]",
    ),
)
BUILD_FIELDS = (
    "dockerfile",
    "context",
    "target",
    "build_args",
    "build_secrets",
    "build_contexts",
    "platform",
)


def pop_build_fields(given: dict[str, Any]) -> dict[str, Any]:
    """Remove the options of `build_options` and return the fields of a request that they set."""
    found = {name: given.pop(name) for name in BUILD_FIELDS}
    places = {name: str(found[name].absolute()) for name in ("dockerfile", "context") if found[name]}
    words = {name: found[name] for name in ("target", "platform") if found[name]}
    pairs = {name: dict(found[name]) for name in ("build_args", "build_contexts")}
    return {**places, **words, **pairs, "build_secrets": found["build_secrets"]}


def folder_build(
    given: dict[str, Any], image: str | None, settings: Settings
) -> tuple[FolderBuild, str | None]:
    """Return the options of `build_options`, and the image, for a command that creates no task."""
    from localrun.manager.defaults import build_with_defaults

    return build_with_defaults(pop_build_fields(given), image, settings)


mounts = click.option(
    "--mount",
    "bind_mounts",
    cls=Repeated,
    type=param_type("MOUNT", _mount, allow_bytes=True),
    metavar="SRC:DST[:rw]",
    multiple=True,
    help="Mount SRC over DST of the image, read-only unless :rw.",
)
reuse = combine(
    flag("--reuse", "reuse", flag_value="yes", help="Take the result of a finished task that is the same."),
    flag("--reuse-all", "reuse", flag_value="all", help="Like --reuse, also with network or secrets."),
    flag("--no-reuse", "reuse", flag_value="no", help="Run the task in any case."),
)
output = click.option("-o", "--output", type=DIR, metavar="DIR", help="Copy the outputs to DIR.")
in_image = flag("--in-image", help="With -o, move geometries from a crop back into the whole image.")
extensions = flag("--extensions", help="With -o, add extensions: mask.png, outlines.geojson.")
quiet = flag("-q", "--quiet", help="Print only results and errors.")
watch = click.option(
    "-w",
    "--watch",
    type=param_type("SECONDS", _interval),
    metavar="[SECONDS]",
    is_flag=False,
    flag_value="2",
    help="Refresh every SECONDS (2 if omitted) until the task ends or Ctrl+C.",
)
as_json = flag("--json", "as_json", help="Print one JSON value on standard output.")


def names_of_command() -> list[str]:
    """Return the long options of the command that runs."""
    parameters = click.get_current_context().command.params
    return [name for one in parameters for name in one.opts if name.startswith("--")]


def completer(name: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return the function `name` of `completers`, which is imported only when it is called."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from localrun.cli import completers

        found: list[CompletionItem] = getattr(completers, name)(ctx, incomplete)
        return found

    return complete


complete_task = completer("tasks")
task_id = click.argument("task_id", metavar="ID", shell_complete=complete_task)
task_ids = click.argument("task_ids", metavar="ID...", nargs=-1, shell_complete=complete_task)


def check_copy_options(output: Path | None, *, in_image: bool, extensions: bool) -> None:
    """Raise `UsageError` for options that change copies without -o."""
    if in_image and output is None:
        raise UsageError("--in-image needs a folder for the moved copies", remedy="add -o DIR")
    if extensions and output is None:
        raise UsageError("--extensions needs a folder for the copies", remedy="add -o DIR")


def check_selection(task_ids: tuple[str, ...], everything: bool) -> None:
    """Raise `UsageError` unless either task IDs or --all are given."""
    if bool(task_ids) == everything:
        raise UsageError("expected either task IDs or --all", remedy="`localrun list` shows the IDs")
