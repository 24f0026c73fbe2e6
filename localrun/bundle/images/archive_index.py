"""What an image archive holds: every member's name and size, and the small JSON documents themselves."""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field
from typing import Any

from localrun.bundle.images.compressed import Damaged, Packed, Reader
from localrun.bundle.images.tar_reader import Member, Tape

DOCUMENT_LIMIT = 4 << 20  # bytes of one JSON document
DOCUMENTS_LIMIT = 64 << 20  # bytes of all of them
MEMBER_LIMIT = 200_000  # an image has a few hundred at most; a root file system may have this many
LINK_DEPTH = 8


@dataclass(slots=True)
class Contents:
    """The members of one archive. `twice` are names that appear more than once."""

    members: dict[str, Member] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    ended: bool = False
    kept: int = 0  # bytes of all documents

    def file(self, name: str) -> Member | None:
        """Find a regular member, through links inside the archive (`docker save` links equal layers)."""
        member = self.members.get(posixpath.normpath(name))
        for _ in range(LINK_DEPTH):
            if member is None or member.kind == "file":
                return member
            if member.kind == "symlink":
                member = self.members.get(_beside(member))
            elif member.kind == "link":
                member = self.members.get(posixpath.normpath(member.target))
            else:
                return None
        return None

    def json(self, name: str) -> Any:
        """Parse a document. Raises `KeyError` when it is not there, `ValueError` when it is not JSON."""
        member = self.file(name)
        if member is None:
            raise KeyError(name)
        try:
            return json.loads(self.documents[member.name])
        except KeyError:
            raise ValueError("it does not look like JSON") from None
        except RecursionError:
            raise ValueError("it is nested too deep") from None


def read(packed: Packed) -> Contents:
    """Go over an archive once. Raises `Damaged` when it is not a readable tar."""
    contents = Contents()
    with packed.open() as reader:
        tape = Tape(reader)
        for member in tape:
            if len(contents.members) >= MEMBER_LIMIT:
                return contents
            _add(contents, member, reader)
    contents.ended = tape.ended
    if not contents.members and not tape.ended:
        raise Damaged("it is empty")
    return contents


def _add(contents: Contents, member: Member, reader: Reader) -> None:
    if member.name in contents.members and member.kind == "file":
        contents.twice.add(member.name)
    contents.members[member.name] = member
    if _may_be_document(member) and contents.kept < DOCUMENTS_LIMIT:
        data = reader.read(member.size)
        if len(data) < member.size:
            raise Damaged(f"it is truncated inside {member.name}")
        if data.lstrip()[:1] in (b"{", b"["):
            contents.documents[member.name] = data
            contents.kept += len(data)


def _beside(link: Member) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.target))


def _may_be_document(member: Member) -> bool:
    if member.kind != "file" or not 0 < member.size <= DOCUMENT_LIMIT:
        return False
    return "/" not in member.name or member.name.startswith("blobs/") or member.name.endswith(".json")
