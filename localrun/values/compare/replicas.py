"""Which files of several output folders are not the same, and the first place in each where they are not.

The folders are those that tasks wrote: nothing is followed out of them. See `values.tree`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from localrun.task.record import Disagreement, Variant
from localrun.values.compare.first_difference import first_difference
from localrun.values.compare.hints import RunSample, likely_causes
from localrun.values.digest import FolderDigest
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

MAX_FILES = 50  # files that are told of
_HEAD = 4096
_WHOLE = 1024 * 1024  # bytes of a text that is looked at as a whole
_BEFORE, _BEHIND = 40, 60  # bytes of a line that are shown around the place
_DIGITS = 16  # bytes that are shown of what is no text


@dataclass(frozen=True, slots=True)
class ReplicaOutput:
    """What a replica gave: its folder, the digests of what is in it, and what was varied for it."""

    folder: Path
    files: Mapping[str, str]
    varied: Mapping[str, str]


def compare_outputs(
    results: Mapping[int, ReplicaOutput], limit: int = MAX_FILES
) -> tuple[list[Disagreement], int]:
    """Every file that is not the same in all of `results`, by the numbers of the replicas, and how many more.

    The contents are compared, no modes and no times. Raises `UnsafePath` and `OSError` when a file cannot be
    read any more.
    """
    paths = sorted({path for result in results.values() for path in result.files})
    unequal = [path for path in paths if len({result.files.get(path) for result in results.values()}) > 1]
    with ExitStack() as stack:
        trees = {
            number: stack.enter_context(UntrustedDir(one.folder, "/")) for number, one in results.items()
        }
        found = [_Place(path, results, trees).disagreement() for path in unequal[:limit]]
    return found, max(0, len(unequal) - limit)


def select_declared(whole: FolderDigest, declared: Sequence[str]) -> dict[str, str]:
    """The files of a folder that belong to declared outputs; all, when none is declared."""
    if not declared:
        return whole.files
    names = set(declared)
    return {path: digest for path, digest in whole.files.items() if path.partition("/")[0] in names}


class _Place:
    """One path in all folders."""

    def __init__(
        self, path: str, results: Mapping[int, ReplicaOutput], trees: Mapping[int, UntrustedDir]
    ) -> None:
        self._path = path
        self._results = results
        self._trees = trees
        self._sides: dict[str | None, list[int]] = {}
        for number, result in results.items():
            self._sides.setdefault(result.files.get(path), []).append(number)

    def disagreement(self) -> Disagreement:
        """What differs there."""
        found = [
            (self._find(numbers[0], content), numbers, content) for content, numbers in self._sides.items()
        ]
        if all(spot is not None and spot.kind == "file" for spot, _, _ in found):
            return self._of_files([(spot, numbers) for spot, numbers, _ in found if spot is not None])
        sides = [_side(spot, numbers, content) for spot, numbers, content in found]
        return Disagreement(path=self._path, variants=sides)

    def _find(self, number: int, content: str | None) -> TreeEntry | None:
        if content is None:
            return None
        parts = tuple(self._path.split("/"))
        kind = "file" if content.startswith("0x") else "link"
        return self._trees[number].find(parts) if kind == "file" else TreeEntry(parts, "link", 0)

    def _of_files(self, found: list[tuple[TreeEntry, list[int]]]) -> Disagreement:
        with ExitStack() as stack:
            files = [stack.enter_context(self._trees[numbers[0]].open(spot)) for spot, numbers in found]
            first = first_difference(files)
            if first is None:
                raise UnsafePath("changed while it was read")
            offset, line, start = first
            looks = [_look(file, offset, start) for file in files]
            heads = [_read(file, 0, _HEAD) for file in files]
            wholes = [_whole(file, spot.size) for file, (spot, _) in zip(files, found, strict=True)]
        texts = [None if b"\0" in head else look.text for head, look in zip(heads, looks, strict=True)]
        is_text = None not in texts
        shown = [text if is_text else look.digits for text, look in zip(texts, looks, strict=True)]
        glimpses = [
            RunSample(text or "", whole if is_text else None, head, self._results[numbers[0]].varied)
            for text, whole, head, (_, numbers) in zip(texts, wholes, heads, found, strict=True)
        ]
        return Disagreement(
            path=self._path,
            offset=offset,
            line=line if is_text else 0,
            column=looks[0].column if is_text else 0,
            variants=[
                Variant(replicas=numbers, size=spot.size, value=value or "")
                for value, (spot, numbers) in zip(shown, found, strict=True)
            ],
            hints=likely_causes(glimpses, offset),
        )


def _side(spot: TreeEntry | None, numbers: list[int], content: str | None) -> Variant:
    if spot is None or content is None:
        return Variant(replicas=numbers, kind="nothing")
    if spot.kind == "file":
        return Variant(replicas=numbers, size=spot.size)
    return Variant(replicas=numbers, kind=content.partition(" ")[0], value=content.partition(" to ")[2])


@dataclass(frozen=True, slots=True)
class _Look:
    """What stands at a place: as text (None: it is none), and as digits."""

    text: str | None
    digits: str
    column: int


def _look(file: BinaryIO, offset: int, start: int) -> _Look:
    begin = max(start, offset - _BEFORE)
    data = _read(file, begin, _BEFORE + _BEHIND)
    lead = (
        next((index for index, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0) if begin > start else 0
    )
    before, behind = data[lead : offset - begin], data[offset - begin :]
    digits = _read(file, offset, _DIGITS).hex(" ") or "the file ends here"
    try:
        text = _decoded(before + behind)
        column = len(_decoded(_read(file, start, offset - start))) + 1 if offset - start <= _WHOLE else 0
    except UnicodeDecodeError:
        return _Look(None, digits, 0)
    more = "…" if begin > start else ""
    return _Look(f"{more}{text}" if text or more else "", digits, column)


def _decoded(data: bytes) -> str:
    """As text; a character that is cut at the end is left out. Raises UnicodeDecodeError for what is none."""
    import codecs

    return codecs.getincrementaldecoder("utf-8")().decode(data)


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _whole(file: BinaryIO, size: int) -> str | None:
    if size > _WHOLE:
        return None
    return _read(file, 0, _WHOLE).decode("utf-8", "replace")


def describe_disagreement(one: Disagreement) -> Iterator[str]:
    """A disagreement in words: where, then what each side has."""
    if one.offset is None:
        yield "is not there in all of them, or not the same kind of thing"
    elif one.line:
        yield f"differs at line {one.line}, column {one.column} (byte {one.offset})"
    else:
        yield f"differs at byte {one.offset}"
    for side in one.variants:
        yield f"{format_replicas(side.replicas)}: {_shown(side, one)}"
    yield from (f"probably: {hint}" for hint in one.hints)


def _shown(side: Variant, one: Disagreement) -> str:
    if side.kind != "file":
        return f"{side.kind} to {side.value}" if side.value else side.kind
    if one.offset is None:
        return "a file"
    if one.line == 0:
        return side.value
    return repr(side.value) if side.value else "nothing, the file ends here"


def format_replicas(numbers: Sequence[int]) -> str:
    """`replica 2`, `replicas 1 and 3`, `replicas 1, 2 and 4`."""
    if len(numbers) == 1:
        return f"replica {numbers[0]}"
    return f"replicas {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
