"""Count the cells in every image of a folder and write one table.

Each image is a task; as many run at once as the machine has resources for. A failure does not stop the other
tasks: its row contains the cause, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import localrun

HERE = Path(__file__).parent
BUNDLE = HERE.parent / "count-cells"
HEADS = ("image", "state", "count", "mean_area", "cause", "task")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the batch and return the exit code."""
    given = _arguments().parse_args(arguments)
    pictures = sorted(given.folder.glob("*.png"))
    if not pictures:
        print(f"no .png files in {given.folder}", file=sys.stderr)
        return 2
    tasks = [submit(picture, given.min_size, given.base_image) for picture in pictures]
    localrun.wait_all(tasks)
    failed = [task for task in tasks if task.is_failed]
    for task in failed:
        print(f"{task.metadata['image']}: {task.info.message}", file=sys.stderr)
    write(given.output, [row(task) for task in tasks])
    print(f"{len(tasks) - len(failed)} of {len(tasks)} images counted, written to {given.output}")
    return 1 if failed else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Count the cells of every picture in a folder.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "images", help="where the .png are")
    parser.add_argument("-o", "--output", type=Path, default=Path("cells.csv"), help="the table to write")
    parser.add_argument("--min-size", type=int, default=40, help="pixels of the smallest cell")
    parser.add_argument("--base-image", help="what the task's image is built from, without a registry")
    return parser


def submit(picture: Path, min_size: int, base_image: str | None) -> localrun.Task:
    """Submit a task for an image and store the name of the image in its metadata."""
    build_args = {"BASE_IMAGE": base_image} if base_image else {}
    task = localrun.submit(BUNDLE, image=picture, min_size=min_size, build_args=build_args)
    task.metadata = {"image": picture.name}
    return task


def row(task: localrun.Task) -> tuple[object, ...]:
    """Return the table row of an image."""
    outputs = task.outputs
    counted = outputs.get("count", ""), outputs.get("mean_area", "")
    return (task.metadata["image"], task.status, *counted, task.info.cause or "", task.id[:8])


def write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write the table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(HEADS)
        table.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
