"""SHA-256 digests of files and folders, written `0x` and 64 hexadecimal digits.

Links that leave the folder are not followed, and only regular files are opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from localrun.copying import data_segments
from localrun.errors import OutputsError, Problem
from localrun.values.untrusted import ROOT, Parts, TreeEntry, UnsafePath, UntrustedDir

MAX_ENTRIES = 100_000  # of one folder, recursively
_LARGE = 64 * 1024**3  # bytes; few disks hold such a file without holes
_BLOCK = 64 * 1024
_ZEROS = bytes(_BLOCK)


@dataclass(frozen=True, slots=True)
class FolderDigest:
    """The digest of a folder, and of each file in it.

    `files` maps each relative path to the SHA-256 of its content, or to `link to X`, `pipe`, `socket` or
    `device`. Of a file of more than 64 GiB, only the blocks that are not zero count, with their positions:
    its holes are not read. Folders with equal `files` have equal digests.
    """

    digest: str
    files: dict[str, str]


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a regular file. Raises `OutputsError` if it is not one or is unreadable."""
    try:
        with UntrustedDir(path.parent, "/") as tree:
            entry = tree.find((path.name,))
            if entry is None or entry.kind != "file":
                raise UnsafePath("not a regular file" if entry else "no such file")
            return digest_entry(tree, entry)
    except (OSError, UnsafePath) as error:
        raise _unreadable(path, error) from error


def digest_folder(
    folder: Path, leave_out: frozenset[str] = frozenset(), *, inside: str | None = None
) -> FolderDigest:
    """Return the digest of the files in a folder, recursively, with their paths. (iExec's omits both.)

    `leave_out` are relative paths. Empty folders do not count. `inside` is the path of the folder in the
    container: links are then followed as they were there, except those that lead nowhere or outside. Raises
    `OutputsError` if something cannot be read, or for more than `MAX_ENTRIES`.
    """
    try:
        with UntrustedDir(folder, inside or "/") as tree:
            entries = tree.walk_resolved(MAX_ENTRIES) if inside else _as_they_are(tree)
            named = sorted(("/".join(path), entry) for path, entry in entries)
            files = {name: _content(tree, entry) for name, entry in named if name not in leave_out}
    except (OSError, UnsafePath) as error:
        raise _unreadable(folder, error) from error
    return FolderDigest(combine_digests(files), files)


def _as_they_are(tree: UntrustedDir) -> Iterator[tuple[Parts, TreeEntry]]:
    for entry in tree.walk(ROOT, MAX_ENTRIES):
        yield entry.parts, entry


def combine_digests(files: Mapping[str, str]) -> str:
    """Return the digest of a mapping such as `FolderDigest.files`, or a part of one."""
    text = "".join(f"{name}\0{content}\0" for name, content in sorted(files.items()))
    return to_hex(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())


def _content(tree: UntrustedDir, entry: TreeEntry) -> str:
    if entry.kind == "link":
        return f"link to {tree.read_link(entry)}"
    if entry.kind != "file":
        return entry.kind
    return to_hex(_sha256_of_data(tree, entry)) if entry.size > _LARGE else digest_entry(tree, entry)


def _sha256_of_data(tree: UntrustedDir, entry: TreeEntry) -> bytes:
    """Return a digest of a large file that depends on its content only, not on where it has holes."""
    hashed, done = hashlib.sha256(b"%d" % entry.size), 0
    with tree.open(entry) as file:
        for start, stop in data_segments(file.fileno(), entry.size):
            for at in range(max(done, start - start % _BLOCK), stop, _BLOCK):
                block = os.pread(file.fileno(), _BLOCK, at)
                done = at + _BLOCK
                if block != _ZEROS[: len(block)]:
                    hashed.update(b"%d:%b" % (at, block))
    return hashed.digest()


def digest_entry(tree: UntrustedDir, entry: TreeEntry) -> str:
    return to_hex(sha256(tree, entry))


def sha256(tree: UntrustedDir, entry: TreeEntry) -> bytes:
    """Return the SHA-256 of a file below `tree`, as 32 bytes."""
    with tree.open(entry) as file:
        return hashlib.file_digest(file, "sha256").digest()


def to_hex(digest: bytes) -> str:
    """Return a digest as `0x` and hexadecimal digits."""
    return f"0x{digest.hex()}"


def _unreadable(path: Path, error: OSError | UnsafePath) -> OutputsError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    remedy = error.remedy if isinstance(error, UnsafePath) else "make it readable"
    problem = Problem(str(path), str(reason), remedy)
    return OutputsError(f"cannot compute the digest of {path}", problems=[problem], path=str(path))
