"""A real server on a free port with a fake engine and two bundles, for a browser."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from localrun.app import App
from localrun.engines.base import Exit
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.fake.script import _write_value as write_output
from localrun.server import uvicorn_server
from localrun.server.application import make_api
from localrun.server.config import ServerOptions
from localrun.server.sockets import listen
from localrun.server.state import ServerState
from localrun.settings import Settings
from tests.support.bundles import layer_of, zip_of
from tests.support.images import image_archive

CELLS = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Count cells
name_short: cells
version: 1.0.0
namespace: com.example.cells
description: Counts bright cells, and draws their outlines.
authors:
  - {first_name: A, last_name: B, organization: C, email: a@example.com, is_contact: true}
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  image: {type: {id: image, formats: [png]}, description: Bright cells., display_name: Image}
  threshold:
    type: {id: integer, geq: 1, leq: 255}
    description: Grey levels.
    display_name: Threshold
    default: 40
    optional: true
  mode: {type: {id: enumeration, values: [fast, exact, fail, wait]}, description: How., display_name: Mode}
  label: {type: {id: string, max_length: 40}, description: A title., display_name: Label, optional: true}
  smooth: {type: boolean, description: Whether to smooth., display_name: Smooth, optional: true}
  taken: {type: datetime, description: When., display_name: Taken, optional: true}
  region: {type: geometry, description: Where to look., display_name: Region, optional: true}
  table: {type: {id: file, formats: [text]}, description: A table., display_name: Table, optional: true}
  levels:
    type: {id: array, subtype: integer, min_size: 0, max_size: 5}
    description: Levels.
    display_name: Levels
    optional: true
  tiles:
    type: {id: array, subtype: {id: image, formats: [png]}, min_size: 0, max_size: 5}
    description: More images.
    display_name: Tiles
    optional: true
outputs:
  count: {type: integer, description: Number of cells., display_name: Count}
  mask: {type: {id: image, formats: [png, tiff]}, description: Where cells are., display_name: Mask,
         dependencies: {derived_from: inputs/image}}
  outlines: {type: {id: array, subtype: geometry, min_size: 0, max_size: 1000}, description: Outlines.,
             display_name: Outlines, dependencies: {derived_from: inputs/image}}
  areas: {type: {id: array, subtype: number, min_size: 0, max_size: 1000}, description: Areas.,
          display_name: Areas, dependencies: {matching: [outputs/outlines]}}
  report: {type: file, description: A report., display_name: Report}
"""
ANY = (
    CELLS.split("inputs:\n  image", maxsplit=1)[0].replace("Count cells", "Any files").replace("cells", "any")
)
ANY += """\
inputs:
  number: {type: integer, description: Any., display_name: Number}
outputs:
  page: {type: file, description: A file., display_name: Page}
  drawing: {type: file, description: A file., display_name: Drawing}
  shape: {type: geometry, description: A geometry., display_name: Shape}
"""
SQUARES = ((20, 20), (60, 30), (30, 70), (80, 80))  # centers of the cells of the picture


def picture(path: Path, size: int = 120) -> Path:
    """Write an image with four bright squares."""
    image = Image.new("L", (size, size), 20)
    for x, y in SQUARES:
        ImageDraw.Draw(image).rectangle((x - 6, y - 6, x + 6, y + 6), fill=220)
    image.save(path, "PNG")
    return path


def outline(x: int, y: int, height: int) -> dict[str, Any]:
    """Return a square around a cell; y counts from the bottom."""
    up = height - y
    corners = [[x - 7, up - 7], [x + 7, up - 7], [x + 7, up + 7], [x - 7, up + 7], [x - 7, up - 7]]
    return {"type": "Polygon", "coordinates": [corners]}


def count_cells(container: FakeContainer) -> int | Exit:
    """The program of the cells bundle; its mode decides what becomes of it."""
    mode = container.path("/inputs/mode").read_text()
    with Image.open(container.path("/inputs/image")) as found:
        image = found.convert("L")
    container.stdout.write("reading \x1b[1mimage\x1b[0m\n")
    if mode == "wait":
        container.stdout.write("\x1b[32mwaiting for a signal\x1b[0m\n")
        container.stopped.wait(300)
        return 143
    if mode == "fail":
        container.stderr.write("\x1b[31mValueError: no cells\x1b[0m\n")
        return 3
    container.stdout.write("".join(f"cell {number}\n" for number in range(len(SQUARES))))
    path = container.path("/inputs/threshold")
    threshold = int(path.read_text()) if path.exists() else 40
    shown = SQUARES if threshold < 100 else SQUARES[:2]
    mask = image.point(lambda value: 255 if value > threshold else 0)
    mask.save(container.path("/outputs/mask"), "PNG")
    outputs = {
        "count": len(shown),
        "outlines": [outline(x, y, image.height) for x, y in shown],
        "areas": [196.5 + number for number in range(len(shown))],
        "report": json.dumps({"threshold": threshold, "cells": len(shown)}).encode(),
    }
    for name, value in outputs.items():
        write_output(container.path(f"/outputs/{name}"), value)
    return 0


@dataclass
class PageServer:
    """A running server: its address, and what is behind it."""

    address: str
    app: App
    state: ServerState
    folder: Path

    def url(self, path: str = "/ui/") -> str:
        return self.address + path

    def request(self, method: str, path: str, body: Any = None, *, timeout: float = 60) -> Any:
        """Send a JSON request with the server's token. Return the decoded response."""
        data = None if body is None else json.dumps(body).encode()
        token = self.state.options.token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url(path), data, headers, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.loads(response.read())

    def submit(self, bundle: str, **inputs: Any) -> str:
        """Create a task. Return its id."""
        task = {"bundle": bundle, "inputs": inputs}
        found = self.request("POST", "/task", {"task": task, "assigned_by": "test"})
        return str(found["task_id"])

    def cells(self, mode: str = "fast", **inputs: Any) -> str:
        """Create a task that counts cells. Return its id."""
        return self.submit("cells.zip", image="@cells.png", mode=mode, **inputs)

    def wait(self, task_id: str) -> dict[str, Any]:
        """Return a task after its end."""
        found: dict[str, Any] = self.request("GET", f"/task/{task_id}/wait?timeout=60")
        assert found["ended"], found
        task: dict[str, Any] = found["task"]
        return task


@contextmanager
def serve_page(
    folder: Path,
    programs: dict[str, Callable[[FakeContainer], Any]] | None = None,
    *,
    port: int = 0,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> Iterator[PageServer]:
    """Run a server in `folder`. `programs` maps `cells` and `any` to what they do."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {"cells": count_cells, "any": lambda _container: 0, **(programs or {})}

    def program(container: FakeContainer) -> Any:
        return found["any" if container.path("/inputs/number").exists() else "cells"](container)

    engine = FakeEngine(program)
    _write_bundle(folder, "cells", CELLS)
    _write_bundle(folder, "any", ANY)
    picture(folder / "cells.png")
    places: dict[str, Any] = {
        "home": folder / ".localrun",
        "cache": folder / "cache",
        "logs": folder / "logs",
        "ledger": folder / "ledger" / "l.json",
    }
    app = App(Settings(**{**places, **(settings or {})}), engine)
    try:
        state = ServerState(app, ServerOptions(**{"bundles": (folder,), **options}))
        sockets = listen("127.0.0.1", port)
        try:
            with uvicorn_server.serve_in_thread(make_api(state), state, sockets):
                address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
                yield PageServer(address, app, state, folder)
        finally:
            for each in sockets:
                each.close()
    finally:
        app.manager.shutdown(0)
        engine.close()


def _write_bundle(folder: Path, name: str, descriptor: str) -> None:
    layer = layer_of({"bin/run": b"#!/bin/sh\n"})
    archive = image_archive(layer, f"com/example/{name}:1.0.0", Entrypoint=["/bin/run"])
    members = {"descriptor.yml": descriptor.encode(), f"com.example.{name}-1.0.0.tar": archive}
    zip_of(folder / f"{name}.zip", members)
