"""The options of `run` and `rerun`, and of `shell`, which has those for the setup of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from localrun.cli import options
from localrun.cli.pipes import notice_of_pipe
from localrun.cli.selection import with_metadata
from localrun.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The options of `run` and `rerun`. `options` are the given fields of `RunOptions`."""

    assignments: tuple[str, ...]
    inputs: Path | None
    output: Path | None = None
    in_image: bool = False
    extensions: bool = False
    as_json: bool = False
    quiet: bool = False
    detach: bool = False
    shell_on_failure: bool = False
    options: dict[str, Any]

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Choices:
        own = {name: given[name] for name in cls.__annotations__ if name in given}
        rest = {key: value for key, value in given.items() if key not in own}
        own["assignments"] += rest.pop("regions", ())
        build = options.pop_build_fields(rest)
        if mounts := rest.pop("bind_mounts", ()):
            rest["bind_mounts"] = list(mounts)
        if "metadata" in rest:
            rest["metadata"] = dict(rest["metadata"])
        rest = {key: value for key, value in rest.items() if value is not None}
        found = cls(**own, options=rest | build)
        options.check_copy_options(found.output, in_image=found.in_image, extensions=found.extensions)
        found.check_shell()
        return found

    def check_shell(self) -> None:
        """Raise `UsageError` if a shell is to be opened by a command that does not wait, or prints JSON."""
        for name, given in (("--json", self.as_json), ("--detach", self.detach)):
            if self.shell_on_failure and given:
                message = f"--shell-on-failure and {name} exclude each other"
                raise UsageError(message, remedy="omit one of them")

    def named_inputs(self) -> dict[str, Any]:
        """Return the inputs of --inputs as fields of a request. Raises `InputsError` for an invalid file."""
        from localrun import values

        if self.inputs is None:
            return {"values": {}}
        if self.inputs.is_dir():
            return {"inputs_folder": self.inputs}
        with notice_of_pipe(self.inputs):
            return {"values": values.load_values(self.inputs)}


with_setup_options = options.combine(
    click.option(
        "-i",
        "--input",
        "assignments",
        type=options.RAW,
        metavar="NAME=VALUE",
        multiple=True,
        shell_complete=options.completer("inputs"),
        help="Set an input; NAME=@FILE reads a file, repeat NAME for an array.",
    ),
    click.option(
        "--inputs",
        type=options.PATH,
        metavar="FILE|DIR",
        help="Read inputs from a JSON or YAML file, or a folder such as examples/inputs.",
    ),
    click.option(
        "--region",
        "regions",
        type=options.REGION,
        metavar="IMAGE=@FILE",
        multiple=True,
        help="Crop an image to an annotation, e.g. image=@annotation.geojson.",
    ),
    options.image,
    click.option(
        "--cpus", type=options.CPUS, help="CPUs to reserve, e.g. 0.5.  [default: from the descriptor]"
    ),
    click.option(
        "--memory",
        type=options.MEMORY,
        help="Memory limit, e.g. 512Mi or 2Gi.  [default: from the descriptor]",
    ),
    click.option("--gpus", type=options.COUNT_OR_ZERO, help="GPUs to reserve; 0 for none."),
    click.option(
        "--network/--no-network",
        default=None,
        help="Allow or block network access.  [default: from the descriptor]",
    ),
    options.flag("--writable-inputs", default=None, help="Mount the inputs writable (as copies)."),
    options.flag("--copy-inputs", default=None, help="Copy input files instead of mounting them."),
    options.mounts,
    options.flag("--hardened", default=None, help="Drop all capabilities; mount the root read-only."),
    click.option(
        "--pull",
        type=click.Choice(["never", "missing", "always"]),
        help="When to pull the image of --image.  [default: missing]",
    ),
    options.build_options,
)
timeout = click.option("--timeout", type=options.DURATION, help="Time limit, e.g. 90s, 10m or 1h.")
with_repetition = options.combine(
    click.option(
        "--retries",
        type=options.COUNT_OR_ZERO,
        help="Rerun up to COUNT times if the container is lost.  [default: 0]",
    ),
    click.option("--replicas", type=options.COUNT, help="Run COUNT varied replicas and compare the outputs."),
    click.option(
        "--agree", type=options.COUNT, help="Replicas that must give the same result.  [default: all]"
    ),
    with_metadata,
    options.reuse,
)
with_run_options = options.combine(
    with_setup_options,
    options.output,
    options.in_image,
    options.extensions,
    timeout,
    options.flag("--shell-on-failure", help="Open a shell in the setup of a task that failed."),
    with_repetition,
    options.flag("-d", "--detach", help="Submit the task, print its ID and return."),
    options.as_json,
    options.quiet,
)
