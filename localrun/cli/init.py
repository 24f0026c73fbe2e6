"""`localrun init`: create a new bundle that is ready to run."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path

import click

from localrun.cli import options
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err, print_json, print_out
from localrun.errors import UsageError

_parameters = partial(click.option, metavar="NAME:TYPE", multiple=True)


@click.command()
@click.argument("name", type=options.PATH)
@_parameters("--input", "inputs", help="Add an input, e.g. 'xs:array<integer>'.")
@_parameters("--output", "outputs", help="Add an output, e.g. 'size:enumeration(small,large)'.")
@click.option(
    "--namespace", metavar="NAMESPACE", default="", help="Namespace of the task.  [default: com.example.NAME]"
)
@click.option(
    "--with",
    "packages",
    metavar="PACKAGES",
    multiple=True,
    help="Install Python packages in the image, e.g. numpy,pillow.",
)
@options.with_default(
    "--profile", type=click.Choice(["bundle", "iexec"]), default="bundle", help="Kind of the new folder."
)
@options.as_json
def command(
    *,
    name: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    namespace: str,
    packages: tuple[str, ...],
    profile: str,
    as_json: bool,
) -> None:
    """Create a bundle in the folder NAME: descriptor, Dockerfile, Python program, example inputs and test.

    It is ready to run and passes its test; put your code into program/main.py. Without --input and --output
    it adds two integers. Types are boolean, integer, number, string, datetime, geometry, file, image,
    enumeration(A,B) and array<TYPE>. Quote the last two in a shell. Packages come from PyPI, or from the
    folder NAME/wheels if there is one.

    With --profile iexec, it is an iExec app: Dockerfile, Python program, example input file and test.
    """
    from localrun.bundle.scaffold import template

    title = name.absolute().name
    if profile == "iexec":
        options_given = {"--input": inputs, "--output": outputs, "--namespace": namespace}
        if given := [option for option, value in options_given.items() if value]:
            raise UsageError(f"an iExec app has no {' or '.join(given)}", remedy="omit it")
        plan = template.render_app(title, packages)
    else:
        plan = template.render(title, inputs, outputs, namespace, packages)
    template.write(plan, name)
    if as_json:
        files, warnings = sorted(plan.files), list(plan.warnings)
        print_json({"folder": str(name.absolute()), "files": files, "warnings": warnings})
        return
    for path in plan.files:
        print_out(escape_control_chars(str(name / path)))
    for warning in plan.warnings:
        print_err(f"warning: {escape_control_chars(warning)}")
    print_out(escape_control_chars(f"run it: {_command(name, profile)}"))


def _command(folder: Path, profile: str) -> str:
    """Return the command that runs a new bundle, quoted for a shell."""
    place = f"./{folder}" if str(folder).startswith("-") else str(folder)
    if profile == "iexec":
        inputs = ["--profile", "iexec", "--args", "Ada", "--input-file", f"{place}/examples/lines.txt"]
    else:
        inputs = ["--inputs", f"{place}/inputs.json"]
    return shlex.join(["localrun", "run", place, *inputs])
