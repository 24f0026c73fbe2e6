"""The content of an image archive: names and sizes of all members, and the JSON documents."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from localrun.bundle.images.compressed import CorruptArchive, FileSpan, Reader
from localrun.bundle.images.tar_reader import Member, TarReader

DOCUMENT_LIMIT = 4 << 20  # bytes of one JSON document
DOCUMENTS_LIMIT = 64 << 20  # bytes of all JSON documents
MEMBER_LIMIT = 200_000  # images have a few hundred; a root file system may have this many
LINK_DEPTH = 8


@dataclass(slots=True)
class ArchiveIndex:
    """The members of one archive. `duplicates` are names that appear more than once."""

    members: dict[str, Member] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    duplicates: set[str] = field(default_factory=set)
    has_end_mark: bool = False
    is_cut_off: bool = False  # it has more members than are read
    document_bytes: int = 0
    _digests: dict[str, str] = field(default_factory=dict)

    def find_file(self, name: str) -> Member | None:
        """Find a regular file and follow links in the archive (`docker save` links equal layers)."""
        member = self.members.get(posixpath.normpath(name))
        for _ in range(LINK_DEPTH):
            if member is None or member.kind == "file":
                return member
            if member.kind not in ("symlink", "link"):
                return None
            folder = posixpath.dirname(member.name) if member.kind == "symlink" else ""
            member = self.members.get(posixpath.normpath(posixpath.join(folder, member.target)))
        return None

    def load_json(self, name: str) -> Any:
        """Parse a document. Raises `KeyError` if it is missing, `ValueError` if it is not JSON."""
        member = self.find_file(name)
        if member is None:
            raise KeyError(name)
        try:
            return json.loads(self.documents[member.name])
        except KeyError:
            raise ValueError("no object or list") from None
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def digest(self, name: str) -> str:
        """Return `sha256:...` of a document. Raises `KeyError` if it is not one."""
        if name not in self._digests:
            import hashlib

            self._digests[name] = "sha256:" + hashlib.sha256(self.documents[name]).hexdigest()
        return self._digests[name]


def read_index(span: FileSpan) -> ArchiveIndex:
    """Read an archive once. Raises `CorruptArchive` if it is not a readable tar."""
    contents = ArchiveIndex()
    with span.open() as reader:
        tar = TarReader(reader)
        for member in tar:
            if len(contents.members) >= MEMBER_LIMIT:
                contents.is_cut_off = True
                return contents
            _add(contents, member, reader)
    contents.has_end_mark = tar.has_end_mark
    if not contents.members and not tar.has_end_mark:
        raise CorruptArchive("it is empty")
    return contents


def _add(contents: ArchiveIndex, member: Member, reader: Reader) -> None:
    if member.name in contents.members and member.kind == "file":
        contents.duplicates.add(member.name)
    contents.members[member.name] = member
    if _may_be_document(member) and contents.document_bytes < DOCUMENTS_LIMIT:
        data = reader.read(member.size)
        if len(data) < member.size:
            raise CorruptArchive(f"it is truncated inside {member.name}")
        if data.lstrip()[:1] in (b"{", b"["):
            contents.documents[member.name] = data
            contents.document_bytes += len(data)


def _may_be_document(member: Member) -> bool:
    if member.kind != "file" or not 0 < member.size <= DOCUMENT_LIMIT:
        return False
    return "/" not in member.name or member.name.startswith("blobs/") or member.name.endswith(".json")
