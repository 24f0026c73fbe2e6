"""`localrun build`: build a bundle into a zip that App Engine accepts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.cli.exit_codes import ExitCode
from localrun.cli.signals import Interrupted, SignalHandler
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.operations import show_operations
from localrun.console.results import shorten_path
from localrun.console.streams import is_terminal, print_err, print_json, print_out
from localrun.errors import LocalrunError
from localrun.units import format_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from localrun.bundle.builder.builder import ArchiveMember, BuiltBundle


@click.command()
@click.argument("bundle", metavar="DIR", type=options.PATH)
@click.option(
    "-o",
    "--output",
    "target_file",
    type=options.FILE,
    metavar="FILE",
    help="File to write.  [default: NAMESPACE-VERSION.zip]",
)
@options.image
@options.build_options
@options.flag("--force", help="Write the zip even if App Engine would refuse it.")
@options.as_json
@options.quiet
@pass_context
def command(
    context: CliContext,
    /,
    *,
    bundle: Path,
    target_file: Path | None,
    image: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Build the image of DIR and pack it with the descriptor into a zip for App Engine.

    DIR is any bundle: a folder with a Dockerfile or an image archive, a zip, or a descriptor with --image.
    The zip is checked like `localrun validate` does, and deleted if App Engine would refuse it. The same
    descriptor and image give the same bytes.
    """
    from localrun.bundle.builder.builder import BuildOptions, build

    build_options, image = options.folder_build(given, image, context.settings)
    request = BuildOptions(bundle, target_file, image, build_options, force=force)
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        print_err(f"warning: {escape_control_chars(message)}")

    with SignalHandler() as signals, context.app() as app:
        try:
            with (
                signals.interruptible(),
                show_operations(context.environ, quiet=quiet or as_json) as progress,
            ):
                built = build(
                    request,
                    lambda: app.engine,
                    cache=app.settings.cache,
                    progress=progress,
                    warn=warn,
                )
        except Interrupted:
            return ExitCode.INTERRUPTED
        except LocalrunError as error:
            error.facts["warnings"] = warnings
            raise
    if as_json:
        print_json(_fields(built) | {"warnings": warnings})
    else:
        _show(built, context, quiet)
    return ExitCode.FINISHED if built.written else ExitCode.BUNDLE_OR_VALUES


def _show(built: BuiltBundle, context: CliContext, quiet: bool) -> None:
    from localrun.cli.findings import print_report

    if not quiet:
        print_out("\n".join(_lines(built)))
    if not quiet or built.report.findings:
        print_report(built.report, context.environ)
    if built.written:
        print_out(f"wrote {escape_control_chars(shorten_path(str(built.path)))}")
    else:
        print_out("no file was written; pass --force to write it anyway")


def _lines(built: BuiltBundle) -> Iterator[str]:
    """Yield every part with its size."""
    yield f"{format_bytes(built.size):>10}  {escape_control_chars(shorten_path(str(built.path)))}"
    for part in built.members:
        yield f"{format_bytes(part.size):>10}    {escape_control_chars(part.name)}"
        for number, layer in enumerate(part.layers, 1):
            yield f"{format_bytes(layer.size):>10}      layer {number}: {_layer_text(layer)}"
    yield f"{'':10}  sha256 {built.digest}"


def _layer_text(layer: ArchiveMember) -> str:
    """Return the command that made a layer, cut to the width of the output."""
    text = escape_control_chars(" ".join(layer.name.removeprefix("/bin/sh -c #(nop)").split()))
    width = 80 if is_terminal(sys.stdout, {"TERM": "any"}) else 200
    return text if len(text) <= width else text[: width - 3] + "..."


def _fields(built: BuiltBundle) -> dict[str, Any]:
    return {
        "path": str(built.path) if built.written else None,
        "size": built.size,
        "sha256": built.digest,
        "parts": [_part_fields(part) for part in built.members],
        "report": built.report.as_dict(),
    }


def _part_fields(part: ArchiveMember) -> dict[str, Any]:
    inner = {"layers": [_part_fields(layer) for layer in part.layers]} if part.layers else {}
    return {"name": part.name, "size": part.size, **inner}
