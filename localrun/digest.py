"""Digests of what a task wrote: as iExec computes them, and of a whole folder, file by file.

All are written `0x` and 64 hexadecimal digits. No link is followed out of the folder, and nothing but regular
files is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localrun.errors import OutputsError, Problem
from localrun.keccak import keccak_256
from localrun.values.tree import Spot, Tree, Untrusted

MOST_ENTRIES = 100_000  # of one folder, with all that is below it


@dataclass(frozen=True, slots=True)
class FolderDigest:
    """The digest of a folder, and what it was made of.

    `files` holds for each path below the folder the SHA-256 of its content; what is no regular file is said
    in words: `link to X`, `pipe`, `socket`, `device`. Two folders with equal `files` have equal digests.
    """

    digest: str
    files: dict[str, str]


def of_file(path: Path) -> str:
    """The SHA-256 of a regular file. Raises `OutputsError` when it is none, or cannot be read."""
    try:
        with Tree(path.parent, "/") as tree:
            spot = tree.find((path.name,))
            if spot is None or spot.kind != "file":
                raise Untrusted("is no regular file" if spot else "is missing")
            return _of_file(tree, spot)
    except (OSError, Untrusted) as error:
        raise _unreadable(path, error) from error


def of_folder(folder: Path, leave_out: frozenset[str] = frozenset()) -> FolderDigest:
    """The digest of all that is in a folder, with names, however deep; iExec's knows neither.

    `leave_out` are paths below the folder. Empty folders do not count. Raises `OutputsError` when something
    cannot be read, or it holds more than `MOST_ENTRIES`.
    """
    try:
        with Tree(folder, "/") as tree:
            spots = tree.everything(Spot((), "folder", 0), MOST_ENTRIES)
            named = sorted(("/".join(spot.parts), spot) for spot in spots)
            files = {name: _content(tree, spot) for name, spot in named if name not in leave_out}
    except (OSError, Untrusted) as error:
        raise _unreadable(folder, error) from error
    return FolderDigest(digest_of(files), files)


def digest_of(files: Mapping[str, str]) -> str:
    """The digest of files, or of some of them, in the form that `FolderDigest.files` has them."""
    text = "".join(f"{name}\0{content}\0" for name, content in sorted(files.items()))
    return _hex(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())


def of_result(tree: Tree, spot: Spot) -> str:
    """The digest that iExec's worker computes of the file or folder that `deterministic-output-path` names.

    A file: the SHA-256 of its content. A folder: the Keccak-256 of the SHA-256s of its direct children, in
    the order of their names; what they are called does not count, nor what is in folders below. Raises
    `Untrusted` when something cannot be read.
    """
    if spot.kind == "folder":
        names = sorted(tree.names(spot, MOST_ENTRIES), key=_java_order)
        return _hex(keccak_256(b"".join(_child(tree, (*spot.parts, name)) for name in names)))
    if spot.kind != "file":
        raise Untrusted(f"is a {spot.kind}, neither a file nor a folder")
    return _of_file(tree, spot)


def of_callback(data: str) -> str:
    """The digest of `callback-data`: the Keccak-256 of the bytes that its hexadecimal digits stand for.

    Raises ValueError when there are none, or something else than digits.
    """
    digits = data.removeprefix("0x")
    if not digits or digits.strip("0123456789abcdefABCDEF"):
        raise ValueError("is no hexadecimal number such as 0x2a")
    return _hex(keccak_256(bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")))


def _child(tree: Tree, parts: tuple[str, ...]) -> bytes:
    found = tree.find(parts)  # as the worker, which follows links
    return _sha256(tree, found) if found is not None and found.kind == "file" else b""


def _java_order(name: str) -> bytes:
    """Java compares the 16-bit units of two names, which is another order for signs such as emoji."""
    return name.encode("utf-16-be", "surrogatepass")


def _content(tree: Tree, spot: Spot) -> str:
    if spot.kind == "link":
        return f"link to {tree.link(spot)}"
    return _of_file(tree, spot) if spot.kind == "file" else spot.kind


def _of_file(tree: Tree, spot: Spot) -> str:
    return _hex(_sha256(tree, spot))


def _sha256(tree: Tree, spot: Spot) -> bytes:
    with tree.open(spot) as file:
        return hashlib.file_digest(file, "sha256").digest()


def _hex(digest: bytes) -> str:
    return f"0x{digest.hex()}"


def _unreadable(path: Path, error: OSError | Untrusted) -> OutputsError:
    said = error.strerror if isinstance(error, OSError) else str(error)
    remedy = error.remedy if isinstance(error, Untrusted) else "let the task make it readable"
    return OutputsError(
        f"no digest of {path} can be made", problems=[Problem(str(path), str(said), remedy)], path=str(path)
    )
