"""Measure localrun against docker and against an empty server (`make bench`).

The results are ratios of medians. Absolute times differ between machines and over time.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import app_engine
import batches
import cluster
import commands
import edits
import images
import install
import logs
import outputs
import page
import rate
import reuse
import routes
from figures import Chapter, machine, show, show_targets
from program import compile_modules

MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    options = _arguments()
    compile_modules()
    chapters: dict[str, Callable[[], Chapter]] = {
        "commands": lambda: _in_folder(partial(commands.compare, rounds=options.rounds, large=options.large)),
        "routes": lambda: _in_folder(partial(routes.compare, rounds=options.bursts), options.memory),
        "rate": lambda: _in_folder(partial(rate.compare, rounds=options.rate_rounds, tasks=options.tasks)),
        "batch": lambda: _in_folder(partial(batches.compare, rows=options.rows)),
        "app-engine": lambda: _in_folder(partial(app_engine.compare, rounds=options.rounds)),
        "page": lambda: _in_folder(partial(page.compare, rounds=options.rounds), options.memory),
        "logs": lambda: _in_folder(partial(logs.compare, rounds=options.log_rounds)),
        "outputs": lambda: _in_folder(partial(outputs.compare, rounds=options.log_rounds), options.memory),
        "images": lambda: _in_folder(partial(images.compare, rounds=options.image_rounds, mib=options.large)),
        "edits": lambda: _in_folder(partial(edits.compare, rounds=options.image_rounds)),
        "reuse": lambda: _in_folder(partial(reuse.compare, rounds=options.log_rounds), options.memory),
        "install": lambda: _in_folder(partial(install.compare, rounds=options.rounds)),
        "cluster": lambda: _in_folder(
            partial(cluster.compare, rounds=options.rate_rounds, rows=options.node_rows)
        ),
    }
    if os.geteuid() != 0:
        del chapters["cluster"]
    measured = [chapters[name]() for name in options.only or chapters]
    judged = [row for chapter in measured for row in chapter.judged()]
    show_targets(judged)
    _keep(options.keep, measured, judged)
    return 0 if all(row["kept"] for row in judged) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    chapters = "commands, routes, rate, batch, app-engine, page, logs, outputs, images, edits"
    chapters += ", reuse, install, cluster"
    parser.add_argument("only", nargs="*", metavar="CHAPTER", help=f"{chapters}; default: all")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of commands and imports")
    parser.add_argument("--large", type=int, default=1024, help="size of the large bundle in MiB")
    parser.add_argument("--bursts", type=int, default=200, help="bursts of requests of each kind")
    parser.add_argument("--rate-rounds", type=int, default=3, help="rounds of many tiny containers")
    parser.add_argument("--tasks", type=int, default=200, help="tiny containers per round")
    parser.add_argument("--node-rows", type=int, default=60, help="rows for each node of a cluster")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the batch")
    parser.add_argument("--log-rounds", type=int, default=5, help="rounds of long logs and of many outputs")
    parser.add_argument("--image-rounds", type=int, default=5, help="rounds of large images")
    # on ext4, creating files is ten times slower for minutes after thousands were deleted
    parser.add_argument(
        "--memory", type=Path, default=MEMORY, help="folder for tasks without a container, in memory"
    )
    parser.add_argument("--keep", type=Path, default=RESULTS, help="JSON file for the results")
    return parser.parse_args()


def _in_folder(compare: Callable[[Path], Chapter], place: Path | None = None) -> Chapter:
    with tempfile.TemporaryDirectory(prefix="localrun-bench-", dir=place) as folder:
        chapter = compare(Path(folder))
    show(chapter)
    return chapter


def _keep(path: Path, measured: list[Chapter], judged: list[dict[str, Any]]) -> None:
    seconds = {chapter.title: chapter.samples for chapter in measured}
    path.write_text(json.dumps({"machine": machine(), "targets": judged, "seconds": seconds}, indent=1))
    print(f"\nsaved to {path}")


if __name__ == "__main__":
    sys.exit(main())
