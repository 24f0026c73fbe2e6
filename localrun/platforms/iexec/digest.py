"""Result digests as iExec's worker computes them, written `0x` and 64 hexadecimal digits."""

from __future__ import annotations

from localrun.values.digest import MAX_ENTRIES, digest_entry, sha256, to_hex
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir


def result_digest(tree: UntrustedDir, entry: TreeEntry) -> str:
    """Return the digest of the file or folder that `deterministic-output-path` names.

    A file: the SHA-256 of its content. A folder: the Keccak-256 of the SHA-256s of its direct children, in
    the order of their names. Names and nested folders do not count. Raises `UnsafePath` if something
    cannot be read.
    """
    if entry.kind == "folder":
        names = sorted(tree.list_names(entry, MAX_ENTRIES), key=_java_order)
        return to_hex(keccak_256(b"".join(_child(tree, (*entry.parts, name)) for name in names)))
    if entry.kind != "file":
        raise UnsafePath(f"expected a file or a folder, got a {entry.kind}")
    return digest_entry(tree, entry)


def callback_digest(data: str) -> str:
    """Return the digest of `callback-data`: the Keccak-256 of the bytes in its hexadecimal digits.

    Raises `ValueError` if it is not a hexadecimal number.
    """
    digits = data.removeprefix("0x")
    if not digits or digits.strip("0123456789abcdefABCDEF"):
        raise ValueError("is not a hexadecimal number such as 0x2a")
    return to_hex(keccak_256(bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")))


def keccak_256(data: bytes) -> bytes:
    """Return the Keccak-256 of `data`, which pads differently from SHA3-256."""
    from Crypto.Hash import keccak

    return keccak.new(data=data, digest_bits=256).digest()


def _child(tree: UntrustedDir, parts: tuple[str, ...]) -> bytes:
    found = tree.find(parts)  # follows links, like the worker
    return sha256(tree, found) if found is not None and found.kind == "file" else b""


def _java_order(name: str) -> bytes:
    """Return a sort key that orders names by UTF-16 code units, as Java compares strings."""
    return name.encode("utf-16-be", "surrogatepass")
