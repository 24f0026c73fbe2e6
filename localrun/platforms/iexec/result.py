"""What an app must leave, checked in the order and with the rules of iExec's worker.

The worker ends at the first thing that is wrong; here all of it is told, and the cause is the first one.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from localrun import fs
from localrun.errors import Cause, Problem
from localrun.platforms.iexec import digest
from localrun.platforms.iexec.layout import OUT
from localrun.platforms.iexec.zip import ZIP_LIMIT, ZipTooLarge, pack
from localrun.units import format_bytes
from localrun.values import CollectedOutputs
from localrun.values.digest import MAX_ENTRIES
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

COMPUTED_FILE = "computed.json"
RESULT_ZIP = "iexec_out.zip"
PATH_KEY, CALLBACK_KEY = "deterministic-output-path", "callback-data"
NAME_LIMIT = 31  # characters, as Java counts them
_LARGEST_COMPUTED = 1024 * 1024
_SHOWN = 20
_ROOT = TreeEntry((), "folder", 0)
_EXAMPLE = f'write {{"{PATH_KEY}": "{OUT}/FILE"}} into it'
_QUOTES = f"{_EXAMPLE}; in a shell script, with single quotes around it"


def collect(
    outputs: Path,
    packed: Path,
    *,
    callback: bool,
    streams: Mapping[str, str],
    check_cancelled: Callable[[], None],
) -> CollectedOutputs:
    """Check what the app has left in `outputs`, pack it into the file `packed`, and compute its digest.

    `streams` is what it wrote to `stdout` and `stderr`, which the worker adds to the result. Nothing outside
    of the folder is touched, whatever is in it. Raises `LocalrunError` with DISK_FULL.
    """
    with fs.wrap_os_errors(packed.parent):
        try:
            _add_streams(outputs, streams)
            with UntrustedDir(outputs, OUT) as tree:
                check = _Check(tree, callback=callback)
                check.names()
                check.packing(packed, check_cancelled)
                check.digest()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            problem = Problem(OUT, f"cannot be read: {error.strerror}", "let the app leave it in place")
            message = f"{OUT} {problem.message}"
            return CollectedOutputs({}, (problem,), cause=Cause.RESULT_NOT_PACKED, message=message)
    return check.collected()


def _add_streams(outputs: Path, streams: Mapping[str, str]) -> None:
    for name, text in streams.items():
        if not text:
            continue
        path = outputs / f"{name}.txt"
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            path.unlink()  # perhaps a link of the app's own: it is not followed
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileExistsError), os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
            stream.write(text.encode("utf-8", "replace"))


class _Check:
    """One result; what is wrong with it comes in the order of the worker's checks."""

    def __init__(self, tree: UntrustedDir, *, callback: bool) -> None:
        self.tree = tree
        self.callback = callback
        self.wrong: list[tuple[Cause, Problem]] = []
        self.too_large: list[tuple[Cause, Problem]] = []  # the worker finds out last
        self.warnings: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.spots: list[TreeEntry] = []

    def collected(self) -> CollectedOutputs:
        """All of it."""
        wrong = [*self.wrong, *self.too_large]
        problems = tuple(problem for _, problem in wrong)
        if not wrong:
            return CollectedOutputs(self.outputs, warnings=tuple(self.warnings))
        cause, first = wrong[0]
        message = f"{first.path} {first.message}" if len(wrong) == 1 else _count(wrong)
        return CollectedOutputs(self.outputs, problems, tuple(self.warnings), cause, message)

    def refuse(self, cause: Cause, path: str, message: str, remedy: str) -> None:
        """Note something that is wrong."""
        self.wrong.append((cause, Problem(path, message, remedy)))

    # -- names, and the packed result ------------------------------------------------------------

    def names(self) -> None:
        """No file may have a long name."""
        try:
            self.spots = self.tree.walk(_ROOT, MAX_ENTRIES)
        except UnsafePath as error:
            self.refuse(Cause.RESULT_NOT_PACKED, OUT, str(error), error.remedy)
            return
        long = [spot for spot in self.spots if _units(spot.parts[-1]) > NAME_LIMIT]
        for spot in sorted(long, key=lambda spot: spot.parts)[:_SHOWN]:
            message = f"has a name of {_units(spot.parts[-1])} characters, more than {NAME_LIMIT}"
            self.refuse(Cause.RESULT_NAME_TOO_LONG, _inside(spot.parts), message, "give it a shorter one")
        if len(long) > _SHOWN:
            self.refuse(
                Cause.RESULT_NAME_TOO_LONG, OUT, f"and {len(long) - _SHOWN} more names are too long", ""
            )

    def packing(self, packed: Path, check_cancelled: Callable[[], None]) -> None:
        """Pack everything; a result that is too large is not kept."""
        if any(cause is Cause.RESULT_NOT_PACKED for cause, _ in self.wrong):
            return
        total = sum(spot.size for spot in self.spots if spot.kind == "file")
        try:
            pack(self.tree, self.spots, packed, check_cancelled)
        except ZipTooLarge:
            limit = format_bytes(ZIP_LIMIT)
            message = f"holds {format_bytes(total)}, packed more than the {limit} that can be uploaded"
            self.too_large.append((Cause.RESULT_TOO_LARGE, Problem(OUT, message, "write less to it")))
            return
        except UnsafePath as error:
            self.refuse(Cause.RESULT_NOT_PACKED, OUT, str(error), error.remedy)
            return
        self.outputs["result"] = str(packed)
        if total > ZIP_LIMIT:
            self.warnings.append(
                f"the result holds {format_bytes(total)}, too much unless it is packed:"
                " `iapp test` refuses it"
            )
        self._tell_links()

    def _tell_links(self) -> None:
        links = [_inside(spot.parts) for spot in self.spots if spot.kind == "link"]
        if links:
            self.warnings.append(
                f"{', '.join(sorted(links)[:3])}: a link is an empty file in the packed result"
            )

    # -- computed.json, and the digest -----------------------------------------------------------

    def digest(self) -> None:
        """What computed.json names, and the digest of it."""
        computed = self._computed()
        if computed is None:
            return
        if self.callback:
            self._of_callback(computed)
        else:
            self._of_path(computed)

    def _computed(self) -> dict[str, Any] | None:
        place = f"{OUT}/{COMPUTED_FILE}"
        try:
            spot = self.tree.find((COMPUTED_FILE,))
            if spot is None:
                self.refuse(Cause.COMPUTED_FILE_MISSING, place, "is missing", _EXAMPLE)
                return None
            if spot.kind != "file" or spot.size > _LARGEST_COMPUTED:
                what = f"is a {spot.kind}" if spot.kind != "file" else f"has {format_bytes(spot.size)}"
                self.refuse(Cause.COMPUTED_FILE_MISSING, place, f"{what}, not a short file", _EXAMPLE)
                return None
            return self._parsed(place, self.tree.read(spot, _LARGEST_COMPUTED))
        except UnsafePath as error:
            self.refuse(Cause.COMPUTED_FILE_MISSING, place, str(error), error.remedy)
            return None

    def _parsed(self, place: str, data: bytes) -> dict[str, Any] | None:
        try:
            found = json.loads(data)
        except json.JSONDecodeError as error:
            source = error.doc.splitlines()[error.lineno - 1 : error.lineno] or [""]
            found = source[0].strip()[:80]
            message = f"is no JSON: {error.msg} at column {error.colno} of line {error.lineno}, {found!r}"
            self.refuse(Cause.DIGEST_FAILED, place, message, _QUOTES)
            return None
        except (ValueError, RecursionError):
            self.refuse(Cause.DIGEST_FAILED, place, "is no JSON text in UTF-8", _EXAMPLE)
            return None
        if not isinstance(found, dict):
            self.refuse(Cause.DIGEST_FAILED, place, "is no JSON object", _EXAMPLE)
            return None
        return found

    def _value(self, computed: dict[str, Any], key: str, remedy: str) -> str | None:
        value = computed.get(key)
        if isinstance(value, str) and value:
            return value
        message = (
            f"has no {key!r}" if value is None else f"must be a text that is not empty (it is {value!r:.80})"
        )
        path = COMPUTED_FILE if value is None else f"{COMPUTED_FILE} {key}"
        self.refuse(Cause.DIGEST_FAILED, path, message, remedy)
        return None

    def _of_callback(self, computed: dict[str, Any]) -> None:
        remedy = f'write {{"{CALLBACK_KEY}": "0x..."}} into it'
        data = self._value(computed, CALLBACK_KEY, remedy)
        if data is None:
            return
        try:
            self.outputs["digest"] = digest.callback_digest(data)
            self.outputs["callback_data"] = data
        except ValueError as error:
            place = f"{COMPUTED_FILE} {CALLBACK_KEY}"
            self.refuse(Cause.DIGEST_FAILED, place, f"{error} (it is {data!r:.80})", remedy)

    def _of_path(self, computed: dict[str, Any]) -> None:
        only_callback = PATH_KEY not in computed and CALLBACK_KEY in computed
        remedy = "run it with `--callback`, if its result is for a contract" if only_callback else _EXAMPLE
        text = self._value(computed, PATH_KEY, remedy)
        if text is None:
            return
        place = f"{COMPUTED_FILE} {PATH_KEY}"
        path = PurePosixPath(text)
        if not path.is_relative_to(OUT):
            right = f"{OUT}/{text.removeprefix('iexec_out').lstrip('/')}"
            self.refuse(
                Cause.DIGEST_FAILED,
                place,
                f"{text[:200]!r} is not in {OUT}",
                f"write for example {right[:200]!r}",
            )
            return
        self._digest_of(place, path.relative_to(OUT).parts, text)

    def _digest_of(self, place: str, parts: Sequence[str], text: str) -> None:
        try:
            spot = self.tree.find(tuple(parts)) if parts else _ROOT
            if spot is None:
                self.refuse(
                    Cause.DIGEST_FAILED, place, f"{text[:200]!r} is not there", "let the app write it"
                )
                return
            found = digest.result_digest(self.tree, spot)
        except UnsafePath as error:
            self.refuse(Cause.DIGEST_FAILED, place, f"{text[:200]!r} {error}", error.remedy)
            return
        self.outputs = {"digest": found, "deterministic_output_path": text, **self.outputs}
        if spot.kind == "folder":
            self._warn_of_folder(spot)

    def _warn_of_folder(self, spot: TreeEntry) -> None:
        """The digest of a folder knows less than its user may think."""
        depth = len(spot.parts)
        below = [found.parts[depth:] for found in self.spots if found.parts[:depth] == spot.parts]
        place = _inside(spot.parts)
        deeper = sum(len(parts) > 1 for parts in below)
        if not below:
            self.warnings.append(f"{place} is empty: its digest is the same for every app")
        if deeper:
            self.warnings.append(
                f"{deeper} files in folders of {place} are not in its digest: put them beside"
            )
        if not spot.parts:
            self.warnings.append(
                f"the digest is of all of {OUT}: of {COMPUTED_FILE} too,"
                " and of what the app wrote to its output"
            )


def _units(name: str) -> int:
    """The length of a name as Java has it."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def _inside(parts: Sequence[str]) -> str:
    return "/".join([OUT, *parts])


def _count(wrong: Sequence[tuple[Cause, Problem]]) -> str:
    return f"{len(wrong)} things are wrong with the result"
