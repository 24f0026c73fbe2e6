"""Compare the output folders of replicas and find the first difference in each file.

Tasks wrote the folders, so no link out of them is followed. See `values.untrusted`.
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

MAX_FILES = 50  # that are reported
_HEAD = 4096
_WHOLE = 1024 * 1024  # maximum bytes of a text that is read completely
_BEFORE, _AFTER = 40, 60  # bytes of a line that are shown around the difference
_DIGITS = 16  # bytes of binary data that are shown


@dataclass(frozen=True, slots=True)
class ReplicaOutput:
    """The outputs of a replica: the folder, the digests of its files, and the replica's variations.

    `inside` is the path of the folder in the container.
    """

    folder: Path
    files: Mapping[str, str]
    varied: Mapping[str, str]
    inside: str = "/"


def compare_outputs(
    results: Mapping[int, ReplicaOutput], limit: int = MAX_FILES
) -> tuple[list[Disagreement], int]:
    """Return the first `limit` files that differ between the replicas, and the number of further ones.

    `results` are by replica number. Only contents are compared, not modes and times. Raises `UnsafePath` and
    `OSError` if a file can no longer be read.
    """
    paths = sorted({path for result in results.values() for path in result.files})
    unequal = [path for path in paths if len({result.files.get(path) for result in results.values()}) > 1]
    with ExitStack() as stack:
        trees = {
            number: stack.enter_context(UntrustedDir(one.folder, one.inside))
            for number, one in results.items()
        }
        found = [_PathComparison(path, results, trees).disagreement() for path in unequal[:limit]]
    return found, max(0, len(unequal) - limit)


def select_declared(whole: FolderDigest, declared: Sequence[str]) -> dict[str, str]:
    """Return the files of a folder that belong to declared outputs; all if none is declared."""
    if not declared:
        return whole.files
    names = set(declared)
    return {path: digest for path, digest in whole.files.items() if path.partition("/")[0] in names}


class _PathComparison:
    """A path in all folders."""

    def __init__(
        self, path: str, results: Mapping[int, ReplicaOutput], trees: Mapping[int, UntrustedDir]
    ) -> None:
        self._path = path
        self._results = results
        self._trees = trees
        self._variants: dict[str | None, list[int]] = {}
        for number, result in results.items():
            self._variants.setdefault(result.files.get(path), []).append(number)

    def disagreement(self) -> Disagreement:
        found = [
            (self._find(numbers[0], content), numbers, content) for content, numbers in self._variants.items()
        ]
        if all(entry is not None and entry.kind == "file" for entry, _, _ in found):
            return self._of_files([(entry, numbers) for entry, numbers, _ in found if entry is not None])
        variants = [_variant(entry, numbers, content) for entry, numbers, content in found]
        return Disagreement(path=self._path, variants=variants)

    def _find(self, number: int, content: str | None) -> TreeEntry | None:
        if content is None:
            return None
        parts = tuple(self._path.split("/"))
        kind = "file" if content.startswith("0x") else "link"
        return self._trees[number].find(parts) if kind == "file" else TreeEntry(parts, "link", 0)

    def _of_files(self, found: list[tuple[TreeEntry, list[int]]]) -> Disagreement:
        with ExitStack() as stack:
            files = [stack.enter_context(self._trees[numbers[0]].open(entry)) for entry, numbers in found]
            first = first_difference(files)
            if first is None:
                raise UnsafePath("changed while it was read")
            offset, line, start = first
            excerpts = [_read_excerpt(file, offset, start) for file in files]
            heads = [_read(file, 0, _HEAD) for file in files]
            wholes = [_whole(file, entry.size) for file, (entry, _) in zip(files, found, strict=True)]
        texts = [
            None if b"\0" in head else excerpt.text for head, excerpt in zip(heads, excerpts, strict=True)
        ]
        is_text = None not in texts
        shown = [text if is_text else excerpt.digits for text, excerpt in zip(texts, excerpts, strict=True)]
        samples = [
            RunSample(text or "", whole if is_text else None, head, self._results[numbers[0]].varied)
            for text, whole, head, (_, numbers) in zip(texts, wholes, heads, found, strict=True)
        ]
        return Disagreement(
            path=self._path,
            offset=offset,
            line=line if is_text else 0,
            column=excerpts[0].column if is_text else 0,
            variants=[
                Variant(replicas=numbers, size=entry.size, value=value or "")
                for value, (entry, numbers) in zip(shown, found, strict=True)
            ],
            hints=likely_causes(samples, offset),
        )


def _variant(entry: TreeEntry | None, numbers: list[int], content: str | None) -> Variant:
    if entry is None or content is None:
        return Variant(replicas=numbers, kind="nothing")
    if entry.kind == "file":
        return Variant(replicas=numbers, size=entry.size)
    return Variant(replicas=numbers, kind=content.partition(" ")[0], value=content.partition(" to ")[2])


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """The bytes at an offset, as text (None if not text) and as hexadecimal digits."""

    text: str | None
    digits: str
    column: int


def _read_excerpt(file: BinaryIO, offset: int, start: int) -> _Excerpt:
    begin = max(start, offset - _BEFORE)
    data = _read(file, begin, _BEFORE + _AFTER)
    lead = (
        next((index for index, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0) if begin > start else 0
    )
    before, after = data[lead : offset - begin], data[offset - begin :]
    digits = _read(file, offset, _DIGITS).hex(" ") or "end of file"
    try:
        text = _decoded(before + after)
        column = len(_decoded(_read(file, start, offset - start))) + 1 if offset - start <= _WHOLE else 0
    except UnicodeDecodeError:
        return _Excerpt(None, digits, 0)
    more = "…" if begin > start else ""
    return _Excerpt(f"{more}{text}" if text or more else "", digits, column)


def _decoded(data: bytes) -> str:
    """Decode text without a character that is cut off at the end. Raises UnicodeDecodeError."""
    import codecs

    return codecs.getincrementaldecoder("utf-8")().decode(data)


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _whole(file: BinaryIO, size: int) -> str | None:
    if size > _WHOLE:
        return None
    return _read(file, 0, _WHOLE).decode("utf-8", "replace")


def describe_disagreement(disagreement: Disagreement) -> Iterator[str]:
    """Yield lines that describe a disagreement: where, then the content of each variant."""
    offset = disagreement.offset
    if offset is None:
        yield "missing in some replicas, or of different kinds"
    elif disagreement.line:
        yield f"differs at line {disagreement.line}, column {disagreement.column} (byte {offset})"
    else:
        yield f"differs at byte {offset}"
    for variant in disagreement.variants:
        yield f"{format_replicas(variant.replicas)}: {_format_variant(variant, disagreement)}"
    yield from (f"probably: {hint}" for hint in disagreement.hints)


def _format_variant(variant: Variant, disagreement: Disagreement) -> str:
    if variant.kind != "file":
        return f"{variant.kind} to {variant.value}" if variant.value else variant.kind
    if disagreement.offset is None:
        return "a file"
    if disagreement.line == 0:
        return variant.value
    return repr(variant.value) if variant.value else "nothing (end of file)"


def format_replicas(numbers: Sequence[int]) -> str:
    """Return e.g. `replica 2`, `replicas 1 and 3` or `replicas 1, 2 and 4`."""
    if len(numbers) == 1:
        return f"replica {numbers[0]}"
    return f"replicas {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
