"""The environment of most tests: a task folder, an engine, and a minimal bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localrun.app import App
from localrun.engines.base import Engine
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.events import Event
from localrun.task.record import TaskRecord

IMAGE = "localrun-test/add:1"
DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Add integers
name_short: add
version: 1.0.0
namespace: com.example.add
authors:
  - {first_name: A, last_name: B, organization: C, email: a@example.com, is_contact: true}
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  a: {type: integer, description: one, display_name: A}
  b: {type: integer, description: other, display_name: B}
outputs:
  sum: {type: integer, description: both, display_name: Sum}
"""


@dataclass
class Environment:
    """An `App` with an engine, and a bundle to run."""

    app: App
    bundle: Path
    image: str = IMAGE

    @property
    def engine(self) -> Engine:
        """The engine that tasks run on."""
        return self.app.engine

    def submit(self, *, listener: Callable[[Event], None] | None = None, **options: Any) -> ActiveTask:
        """Submit the bundle."""
        request = Request(**{"bundle": self.bundle, "image": self.image, "pull": "never", **options})
        return self.app.manager.submit(request, *([listener] if listener else []))

    def run(self, **options: Any) -> TaskRecord:
        """Submit the bundle and wait for the task to end."""
        record = self.app.manager.wait(self.submit(**options))
        assert record is not None
        return record


@contextmanager
def make_environment(
    folder: Path,
    program: Callable[[FakeContainer], Any] | None = None,
    *,
    engine: Engine | None = None,
    image: str = IMAGE,
    shares_files: bool = True,
    **settings: Any,
) -> Iterator[Environment]:
    """Create an environment in `folder`, shut down at the end."""
    engine = engine or FakeEngine(program, shares_files=shares_files)
    if isinstance(engine, FakeEngine):
        engine.add_image(image)
    bundle = folder / "descriptor.yml"
    bundle.write_text(DESCRIPTOR)
    places: dict[str, Any] = {
        "home": folder / ".localrun",
        "cache": folder / "cache",
        "ledger": folder / "ledger" / "l.json",
    }
    app = App(Settings(**places, **settings), engine)
    try:
        yield Environment(app, bundle, image)
    finally:
        app.manager.shutdown(0)
        if isinstance(engine, FakeEngine):
            FakeEngine.close(engine)
