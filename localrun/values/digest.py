"""SHA-256 digests of files and folders, written `0x` and 64 hexadecimal digits.

Links that leave the folder are not followed, and only regular files are opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localrun.errors import OutputsError, Problem
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

MAX_ENTRIES = 100_000  # of one folder, with all that is below it


@dataclass(frozen=True, slots=True)
class FolderDigest:
    """The digest of a folder, and what it was made of.

    `files` holds for each path below the folder the SHA-256 of its content; what is no regular file is said
    in words: `link to X`, `pipe`, `socket`, `device`. Two folders with equal `files` have equal digests.
    """

    digest: str
    files: dict[str, str]


def digest_file(path: Path) -> str:
    """The SHA-256 of a regular file. Raises `OutputsError` when it is none, or cannot be read."""
    try:
        with UntrustedDir(path.parent, "/") as tree:
            spot = tree.find((path.name,))
            if spot is None or spot.kind != "file":
                raise UnsafePath("is no regular file" if spot else "is missing")
            return digest_entry(tree, spot)
    except (OSError, UnsafePath) as error:
        raise _unreadable(path, error) from error


def digest_folder(folder: Path, leave_out: frozenset[str] = frozenset()) -> FolderDigest:
    """The digest of all that is in a folder, with names, however deep; iExec's knows neither.

    `leave_out` are paths below the folder. Empty folders do not count. Raises `OutputsError` when something
    cannot be read, or it holds more than `MOST_ENTRIES`.
    """
    try:
        with UntrustedDir(folder, "/") as tree:
            spots = tree.walk(TreeEntry((), "folder", 0), MAX_ENTRIES)
            named = sorted(("/".join(spot.parts), spot) for spot in spots)
            files = {name: _content(tree, spot) for name, spot in named if name not in leave_out}
    except (OSError, UnsafePath) as error:
        raise _unreadable(folder, error) from error
    return FolderDigest(combine_digests(files), files)


def combine_digests(files: Mapping[str, str]) -> str:
    """The digest of files, or of some of them, in the form that `FolderDigest.files` has them."""
    text = "".join(f"{name}\0{content}\0" for name, content in sorted(files.items()))
    return to_hex(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())


def _content(tree: UntrustedDir, spot: TreeEntry) -> str:
    if spot.kind == "link":
        return f"link to {tree.read_link(spot)}"
    return digest_entry(tree, spot) if spot.kind == "file" else spot.kind


def digest_entry(tree: UntrustedDir, spot: TreeEntry) -> str:
    """Return the SHA-256 of a file below `tree`."""
    return to_hex(sha256(tree, spot))


def sha256(tree: UntrustedDir, spot: TreeEntry) -> bytes:
    """Return the SHA-256 of a file below `tree`, as 32 bytes."""
    with tree.open(spot) as file:
        return hashlib.file_digest(file, "sha256").digest()


def to_hex(digest: bytes) -> str:
    """Return a digest as `0x` and hexadecimal digits."""
    return f"0x{digest.hex()}"


def _unreadable(path: Path, error: OSError | UnsafePath) -> OutputsError:
    said = error.strerror if isinstance(error, OSError) else str(error)
    remedy = error.remedy if isinstance(error, UnsafePath) else "let the task make it readable"
    return OutputsError(
        f"no digest of {path} can be made", problems=[Problem(str(path), str(said), remedy)], path=str(path)
    )
