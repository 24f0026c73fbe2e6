"""A batch whose rows all have a result: how many rows a second are checked, found and written to the table.

The tasks ran on the fake engine, because nothing of a container is needed to reuse its result.
"""

from __future__ import annotations

import sys
import time
from itertools import count
from pathlib import Path

from figures import Chapter, Target, measure, report
from localrun.app import App
from localrun.batch.batch import BatchRun
from localrun.batch.options import BatchOptions
from localrun.batch.rows import ListedRows
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.manager.request import Request
from localrun.settings import Settings

IMAGE = "localrun-bench/reuse:1"
SIZE = 100_000  # bytes of the file of each row
DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Reuse
name_short: reuse
version: 1.0.0
namespace: com.example.reuse
authors:
  - {first_name: A, last_name: B, organization: C, email: a@example.com, is_contact: true}
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  image: {type: file, description: a file, display_name: Image}
  threshold: {type: integer, description: a number, display_name: Threshold}
outputs:
  count: {type: integer, description: a number, display_name: Count}
  mask: {type: file, description: a file, display_name: Mask}
"""


def compare(folder: Path, *, rounds: int, rows: int = 1000) -> Chapter:
    """Measure batches of this number of rows."""
    bench = _Bench(folder, rows)
    try:
        bench.run("no")
        for size in (rows, rows // 10):  # the files are as old as files are, so their digests are cached
            bench.run("yes", size)
        cases = {
            f"{rows:,} rows": lambda: bench.run("yes", rows),
            f"{rows // 10:,} rows": lambda: bench.run("yes", rows // 10),
        }
        samples = measure(cases, rounds)
    finally:
        bench.close()
    large, small = cases
    targets = (
        Target("reused rows a second", lambda found: rows / found[large], 1000, "/s", least=True),
        Target(
            "time per row, all rows / a tenth",
            lambda found: found[large] / found[small] / 10,
            1.3,
        ),
    )
    return Chapter("batches of reused rows", samples, targets, small)


class _Bench:
    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        self.bundle = folder / "descriptor.yml"
        self.bundle.write_text(DESCRIPTOR)
        engine = FakeEngine(_count)
        engine.add_image(IMAGE)
        settings = Settings(home=folder / "home", cache=folder / "cache", ledger=folder / "ledger.json")
        self.app = App(settings, engine)
        self.rows = [{"image": folder / f"{number}.png", "threshold": number} for number in range(rows)]
        for number, row in enumerate(self.rows):
            row["image"].write_bytes(b"%d" % number * (SIZE // len(b"%d" % number)))  # type: ignore[attr-defined]
        time.sleep(0.1)  # the digest of a file that was just written is not cached
        self._numbers = count()

    def run(self, reuse: str, rows: int | None = None) -> None:
        request = Request(self.bundle, image=IMAGE, pull="never", reuse=reuse)  # type: ignore[arg-type]
        table = self.folder / f"results-{next(self._numbers)}.csv"
        batch = BatchRun(self.app, request, ListedRows(self.rows[:rows]), BatchOptions(results=table))
        for number, result in enumerate(batch, 1):
            if not result.is_finished or result.reused != (reuse == "yes"):
                sys.exit(f"row {result.row.number} was not as expected: {result}")
            report(f"row {number} of {len(batch)}")

    def close(self) -> None:
        self.app.close()


def _count(container: FakeContainer) -> int:
    outputs = container.path("/outputs")
    (outputs / "count").write_text("3")
    (outputs / "mask").write_bytes(b"x" * 10_000)
    return 0
