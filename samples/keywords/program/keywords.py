"""Find the keywords of texts: a task that reads /inputs and writes /outputs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

from scores import Keyword, keywords, words

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")
STOP_WORDS = Path(__file__).parent / "stop_words.txt"


def main(inputs: Path = INPUTS, outputs: Path = OUTPUTS) -> int:
    """Run the task and return the exit code."""
    stop_words = inputs / "stop_words"
    try:
        texts = [words(_read(path)) for path in items(inputs / "texts")]
        left_out = frozenset(words(_read(stop_words if stop_words.exists() else STOP_WORDS)))
    except UnicodeDecodeError as error:
        print(f"A text is not in UTF-8: {error}.", file=sys.stderr)
        return 1
    found = keywords(texts, left_out, top=int((inputs / "top").read_text()))
    lines = [" ".join(one.word for one in best) or "-" for best in found]
    for text, line in zip(texts, lines, strict=True):
        print(f"{len(text)} words: {line}")
    write_array(outputs / "lengths", map(len, texts))
    write_array(outputs / "keywords", lines)
    write_table(outputs / "table", found)
    return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def items(array: Path) -> list[Path]:
    """Return the files of an array in order: 0, 1, 2, ..., 10, ..."""
    return sorted((path for path in array.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def write_array(array: Path, values: Iterable[object]) -> None:
    """Write a file for each value, and the number of values."""
    array.mkdir()
    size = 0
    for value in values:
        (array / str(size)).write_text(str(value), encoding="utf-8")
        size += 1
    (array / "array.yml").write_text(f"size: {size}")


def write_table(path: Path, found: list[list[Keyword]]) -> None:
    """Return the keywords of all texts as CSV."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["text", "word", "count", "score"])
        for number, best in enumerate(found):
            table.writerows([number, one.word, one.count, f"{one.score:.4f}"] for one in best)


if __name__ == "__main__":
    sys.exit(main())
