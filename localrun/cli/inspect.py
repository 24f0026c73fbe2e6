"""`localrun inspect`: show a bundle's inputs, outputs, image and resources."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import asdict

from localrun.cli import options
from localrun.cli.context import CliContext, pass_context
from localrun.console.display.sanitize import escape_control_chars, format_columns
from localrun.console.streams import print_json, print_out
from localrun.console.usage import format_resources
from localrun.descriptor.fields import constraints, parameter_fields, type_fields, type_text
from localrun.errors import EngineError
from localrun.units import format_bytes

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.bundle.reader import Bundle
    from localrun.bundle.validation.validator import ImageConfig
    from localrun.descriptor import Descriptor, Parameter

_MAX_CELL = 60  # characters
_HEADS = ("NAME", "TYPE", "NEEDED", "CONSTRAINTS", "DEFAULT", "DESCRIPTION")


@click.command()
@click.argument("bundle", type=options.PATH)
@options.image
@options.build_options
@options.as_json
@pass_context
def command(context: CliContext, /, *, bundle: Path, image: str | None, as_json: bool, **build: Any) -> None:
    """Show the inputs, outputs, image and resources of BUNDLE, with constraints and defaults.

    Nothing is built, pulled or run.
    """
    from localrun.bundle.reader import read_bundle

    with context.app() as app:
        chosen, image = options.folder_build(build, image, context.settings)
        found = read_bundle(bundle, image=image, cache=app.settings.cache, build=chosen)
        config, unknown = _read_image(app, found, chosen.platform)
    if as_json:
        print_json(_as_fields(found, config))
        return
    print_out("\n".join(_page(found.descriptor, config, unknown)))


def _read_image(app: App, bundle: Bundle, platform: str) -> tuple[ImageConfig | None, str]:
    """Return the config of the bundle's image, or why it is unknown."""
    from localrun.bundle.validation import image_config

    try:
        config = image_config.from_bundle(bundle, lambda: app.engine, app.settings.cache, platform)
    except EngineError as error:
        return None, f"unknown: {error.message}"
    return config, "not built or pulled yet"


def _page(descriptor: Descriptor, image: ImageConfig | None, unknown: str) -> Iterator[str]:
    for label, text in (*_head(descriptor), *_image(image, unknown)):
        yield f"{label:<12}{escape_control_chars(text)}".rstrip()
    yield from _parameters("inputs", descriptor.inputs, descriptor.input_folder)
    yield from _parameters("outputs", descriptor.outputs, descriptor.output_folder)


def _head(descriptor: Descriptor) -> Iterator[tuple[str, str]]:
    yield "name", " ".join(descriptor.name.split())
    yield "version", descriptor.version
    yield "namespace", descriptor.namespace
    if descriptor.description:
        yield "description", " ".join(descriptor.description.split())
    for author in descriptor.authors:
        name = " ".join(filter(None, (author.first_name, author.last_name)))
        yield "author", ", ".join(filter(None, (name, author.organization, author.email)))
    asked = descriptor.resources
    network = "network" if asked.internet else "no network"
    yield "resources", f"{format_resources(asked)}, {network}"


def _image(image: ImageConfig | None, unknown: str) -> Iterator[tuple[str, str]]:
    if image is None:
        yield "image", unknown
        return
    yield "image", image.name
    yield "", image.id
    yield "", f"{image.platform}, {format_bytes(image.size)}"
    yield "entrypoint", json.dumps(image.entrypoint) if image.entrypoint else "none"
    if image.command:
        yield "command", json.dumps(image.command)
    yield "user", image.user or "root"
    yield "workdir", image.workdir or "/"


def _parameters(title: str, parameters: Mapping[str, Parameter], folder: str) -> Iterator[str]:
    yield ""
    if not parameters:
        yield f"no {title}"
        return
    yield f"{title} in {escape_control_chars(folder)}"
    needed = "always" if title == "outputs" else "required"
    rows = [_HEADS, *(_row(one, needed) for one in parameters.values())]
    cells = [[_cell(text) for text in row] for row in rows]
    kept = [column for column in zip(*cells, strict=True) if any(column[1:])]
    yield from (f"  {line}" for line in format_columns(list(zip(*kept, strict=True))))


def _row(parameter: Parameter, needed: str) -> tuple[str, ...]:
    return (
        parameter.name,
        type_text(parameter.type),
        "optional" if parameter.optional else needed,
        ", ".join(constraints(type_fields(parameter.type))),
        json.dumps(parameter.default, default=str) if parameter.has_default else "",
        " ".join(parameter.description.split()),
    )


def _cell(text: str) -> str:
    text = escape_control_chars(text)
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."


def _as_fields(bundle: Bundle, image: ImageConfig | None) -> dict[str, Any]:
    found = bundle.descriptor
    return {
        "bundle": bundle.name,
        **{key: getattr(found, key) for key in ("name", "name_short", "version", "namespace", "description")},
        "authors": [asdict(author) for author in found.authors],
        "input_folder": found.input_folder,
        "output_folder": found.output_folder,
        "resources": asdict(found.resources),
        "inputs": {name: parameter_fields(one) for name, one in found.inputs.items()},
        "outputs": {name: parameter_fields(one) for name, one in found.outputs.items()},
        "image": image.as_dict() if image else None,
        "warnings": list(bundle.warnings),
    }
