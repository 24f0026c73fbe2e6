"""Check the result of an app with the rules of iExec's worker, in the worker's order.

The worker stops at the first problem. Here all problems are reported; the cause is that of the first one.
"""

from __future__ import annotations

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
from localrun.platforms.iexec.zip import SIZE_LIMIT, ZIP_LIMIT, ZipTooLarge, pack
from localrun.units import format_bytes
from localrun.values import CollectedOutputs
from localrun.values.digest import MAX_ENTRIES
from localrun.values.untrusted import ROOT, TreeEntry, UnsafePath, UntrustedDir

COMPUTED_FILE = "computed.json"
RESULT_ZIP = "iexec_out.zip"
PATH_KEY, CALLBACK_KEY = "deterministic-output-path", "callback-data"
NAME_LIMIT = 31  # characters, as Java counts them
_COMPUTED_LIMIT = 1024 * 1024  # bytes
_MAX_NAMES = 20
_EXAMPLE = f'write {{"{PATH_KEY}": "{OUT}/FILE"}} into it'
_QUOTES = f"{_EXAMPLE}; in a shell script, put single quotes around it"


def collect(
    outputs: Path,
    packed: Path,
    *,
    callback: bool,
    streams: Mapping[str, str],
    check_cancelled: Callable[[], None],
) -> CollectedOutputs:
    """Check the outputs of an app, pack them into the file `packed`, and compute the digest.

    `streams` are the texts of `stdout` and `stderr`, which the worker adds to the result. Never accesses
    anything outside the folder. Raises `LocalrunError` with cause DISK_FULL.
    """
    with fs.wrap_os_errors(packed.parent):
        try:
            _add_streams(outputs, streams)
            with UntrustedDir(outputs, OUT) as tree:
                check = _ResultCheck(tree, callback=callback)
                check.check_names()
                check.pack(packed, check_cancelled)
                check.compute_digest()
        except OSError as error:
            if fs.is_disk_full(error):
                raise
            problem = Problem(OUT, f"cannot be read: {error.strerror}", "do not let the app replace it")
            message = f"{OUT} {problem.message}"
            return CollectedOutputs({}, (problem,), cause=Cause.RESULT_NOT_PACKED, message=message)
    return check.collected()


def _add_streams(outputs: Path, streams: Mapping[str, str]) -> None:
    for name, text in streams.items():
        if not text:
            continue
        path = outputs / f"{name}.txt"
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            path.unlink()  # may be a link that the app created; it must not be followed
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileExistsError), os.fdopen(os.open(path, flags, 0o644), "wb") as stream:
            stream.write(text.encode("utf-8", "replace"))


class _ResultCheck:
    """The check of one result; problems are in the order of the worker's checks."""

    def __init__(self, tree: UntrustedDir, *, callback: bool) -> None:
        self.tree = tree
        self.callback = callback
        self.problems: list[tuple[Cause, Problem]] = []
        self.size_problems: list[tuple[Cause, Problem]] = []  # the worker checks the size last
        self.warnings: list[str] = []
        self.outputs: dict[str, Any] = {}
        self.entries: list[TreeEntry] = []

    def collected(self) -> CollectedOutputs:
        """Return the outputs with all problems and warnings."""
        found = [*self.problems, *self.size_problems]
        problems = tuple(problem for _, problem in found)
        if not found:
            return CollectedOutputs(self.outputs, warnings=tuple(self.warnings))
        cause, first = found[0]
        single = len(found) == 1
        message = f"{first.path} {first.message}" if single else f"{len(found)} problems in the result"
        return CollectedOutputs(self.outputs, problems, tuple(self.warnings), cause, message)

    @property
    def _size(self) -> int:
        return sum(entry.size for entry in self.entries if entry.kind == "file")

    def add_problem(self, cause: Cause, path: str, message: str, remedy: str) -> None:
        self.problems.append((cause, Problem(path, message, remedy)))

    def check_names(self) -> None:
        """Check the lengths of all file names."""
        try:
            self.entries = self.tree.walk(ROOT, MAX_ENTRIES)
        except UnsafePath as error:
            self.add_problem(Cause.RESULT_NOT_PACKED, OUT, str(error), error.remedy)
            return
        cause = Cause.RESULT_NAME_TOO_LONG
        long = [entry for entry in self.entries if _java_length(entry.parts[-1]) > NAME_LIMIT]
        for entry in sorted(long, key=lambda entry: entry.parts)[:_MAX_NAMES]:
            message = f"has a name of {_java_length(entry.parts[-1])} characters; the limit is {NAME_LIMIT}"
            self.add_problem(cause, _path(entry.parts), message, "use a shorter name")
        if len(long) > _MAX_NAMES:
            self.add_problem(cause, OUT, f"has {len(long) - _MAX_NAMES} more names that are too long", "")

    def pack(self, packed: Path, check_cancelled: Callable[[], None]) -> None:
        """Pack all files; a result that is too large is not written."""
        if any(cause is Cause.RESULT_NOT_PACKED for cause, _ in self.problems):
            return
        total = self._size
        try:
            pack(self.tree, self.entries, packed, check_cancelled)
        except ZipTooLarge:
            limit = format_bytes(ZIP_LIMIT)
            message = f"contains {format_bytes(total)}, packed more than the upload limit of {limit}"
            self.size_problems.append((Cause.RESULT_TOO_LARGE, Problem(OUT, message, "write less data")))
            return
        except UnsafePath as error:
            self.add_problem(Cause.RESULT_NOT_PACKED, OUT, str(error), error.remedy)
            return
        self.outputs["result"] = str(packed)
        if total > ZIP_LIMIT:
            size = format_bytes(total)
            self.warnings.append(f"the result has {size} before packing: `iapp test` rejects it")
        links = [_path(entry.parts) for entry in self.entries if entry.kind == "link"]
        if links:
            self.warnings.append(f"{', '.join(sorted(links)[:3])}: links are empty files in {RESULT_ZIP}")

    def compute_digest(self) -> None:
        """Compute the digest of the data or the path that `computed.json` names."""
        computed = self._read_computed()
        if computed is not None and self.callback:
            self._digest_callback(computed)
        elif computed is not None:
            self._digest_path(computed)

    def _read_computed(self) -> dict[str, Any] | None:
        path, remedy = f"{OUT}/{COMPUTED_FILE}", _EXAMPLE
        try:
            entry = self.tree.find((COMPUTED_FILE,))
            if entry is None:
                message = "is missing"
            elif entry.kind != "file":
                message = f"is a {entry.kind}, not a file"
            elif entry.size > _COMPUTED_LIMIT:
                message = f"has {format_bytes(entry.size)}; the limit is {format_bytes(_COMPUTED_LIMIT)}"
            else:
                return self._parse(path, self.tree.read(entry, _COMPUTED_LIMIT))
        except UnsafePath as error:
            message, remedy = str(error), error.remedy
        self.add_problem(Cause.COMPUTED_FILE_MISSING, path, message, remedy)
        return None

    def _parse(self, path: str, data: bytes) -> dict[str, Any] | None:
        message, remedy = "is not a JSON object", _EXAMPLE
        try:
            found = json.loads(data)
            if isinstance(found, dict):
                return found
        except json.JSONDecodeError as error:
            source = error.doc.splitlines()[error.lineno - 1 : error.lineno] or [""]
            position = f"line {error.lineno}, column {error.colno}"
            message = f"is not JSON: {error.msg} at {position}: {source[0].strip()[:80]!r}"
            remedy = _QUOTES
        except (ValueError, RecursionError):
            message = "is not JSON in UTF-8"
        self.add_problem(Cause.DIGEST_FAILED, path, message, remedy)
        return None

    def _value(self, computed: dict[str, Any], key: str, remedy: str) -> str | None:
        value = computed.get(key)
        if isinstance(value, str) and value:
            return value
        if value is None:
            self.add_problem(Cause.DIGEST_FAILED, COMPUTED_FILE, f"has no {key!r}", remedy)
        else:
            message = f"must be a non-empty string, not {value!r:.80}"
            self.add_problem(Cause.DIGEST_FAILED, f"{COMPUTED_FILE} {key}", message, remedy)
        return None

    def _digest_callback(self, computed: dict[str, Any]) -> None:
        remedy = f'write {{"{CALLBACK_KEY}": "0x..."}} into it'
        data = self._value(computed, CALLBACK_KEY, remedy)
        if data is None:
            return
        try:
            self.outputs["digest"] = digest.callback_digest(data)
            self.outputs["callback_data"] = data
        except ValueError:
            message = f"{data!r:.80} is not a hexadecimal number such as 0x2a"
            self.add_problem(Cause.DIGEST_FAILED, f"{COMPUTED_FILE} {CALLBACK_KEY}", message, remedy)

    def _digest_path(self, computed: dict[str, Any]) -> None:
        only_callback = PATH_KEY not in computed and CALLBACK_KEY in computed
        remedy = "run it with `--callback` if the result is for a contract" if only_callback else _EXAMPLE
        text = self._value(computed, PATH_KEY, remedy)
        if text is None:
            return
        location = f"{COMPUTED_FILE} {PATH_KEY}"
        path = PurePosixPath(text)
        if not path.is_relative_to(OUT):
            example = f"{OUT}/{text.removeprefix('iexec_out').lstrip('/')}"
            message, remedy = f"{text[:200]!r} is not in {OUT}", f"write e.g. {example[:200]!r}"
            self.add_problem(Cause.DIGEST_FAILED, location, message, remedy)
            return
        self._digest_entry(location, path.relative_to(OUT).parts, text)

    def _digest_entry(self, location: str, parts: Sequence[str], text: str) -> None:
        try:
            entry = self.tree.find(tuple(parts)) if parts else ROOT
            if entry is None:
                message = f"{text[:200]!r} does not exist"
                self.add_problem(Cause.DIGEST_FAILED, location, message, "let the app write it")
                return
            if self._size > SIZE_LIMIT:  # it is rejected: hashing it could take hours
                return
            found = digest.result_digest(self.tree, entry)
        except UnsafePath as error:
            self.add_problem(Cause.DIGEST_FAILED, location, f"{text[:200]!r}: {error}", error.remedy)
            return
        self.outputs = {"digest": found, "deterministic_output_path": text, **self.outputs}
        if entry.kind == "folder":
            self._warn_about_folder(entry)

    def _warn_about_folder(self, folder: TreeEntry) -> None:
        """Warn about files that the digest of a folder does not cover, or covers unexpectedly."""
        depth = len(folder.parts)
        below = [entry.parts[depth:] for entry in self.entries if entry.parts[:depth] == folder.parts]
        path = _path(folder.parts)
        nested = sum(len(parts) > 1 for parts in below)
        if not below:
            self.warnings.append(f"{path} is empty: its digest is the same for every app")
        if nested:
            warning = (
                f"the digest of {path} ignores nested files ({nested}): write them directly into the folder"
            )
            self.warnings.append(warning)
        if not folder.parts:
            self.warnings.append(f"the digest covers all of {OUT}, also {COMPUTED_FILE} and the app's logs")


def _java_length(name: str) -> int:
    """Return the length of a string in UTF-16 code units, as in Java."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def _path(parts: Sequence[str]) -> str:
    return "/".join([OUT, *parts])
