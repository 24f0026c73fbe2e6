"""Accept an uploaded bundle, or refuse it as App Engine does.

App Engine stops at the first fault. The refusal is its answer, and the details list every problem that
localrun finds.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from starlette.types import Scope

from localrun import descriptor as descriptors
from localrun import fs
from localrun.bundle.parts import is_descriptor
from localrun.bundle.validation.findings import Finding, Severity
from localrun.bundle.validation.validator import validate_upload
from localrun.bundle.zip import open_zip
from localrun.descriptor import Descriptor
from localrun.errors import BundleError, DescriptorError, Problem
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import (
    BUNDLE,
    EXTRACTION,
    SCHEMA,
    SCHEMA_ITEM,
    SERVER_ERROR,
    AppEngineError,
    batch,
    error_object,
    parameter,
)
from localrun.server.appengine.service import AppEngine
from localrun.server.appengine.uploaded_tasks import BUNDLE as BUNDLE_FILE
from localrun.server.appengine.uploaded_tasks import LOGO, DuplicateTask, UploadedTask

# rows of the table of divergences that make App Engine fail at a missing key of the descriptor
_MISSING_KEYS = frozenset({"name_short", "folder", "display_name", "derived_from"})
_LOGO_LIMIT = 16 * 1024**2  # bytes of a logo, which is read into memory
_MISMATCH = re.compile(r"expected (?:an?|the) (\w+), got .*?(\w+)\)?")
_NO_DESCRIPTOR = re.compile(
    "missing descriptor.yml|is not a zip: it is an empty file|the descriptor must be at the root"
)
_LIST_ITEM = re.compile(r"\b(authors|values|formats|doi|matching)\.(\d+)")
_JSON_TYPES = {"list": "array", "mapping": "object"}


class _Refusal(NamedTuple):
    """An answer of App Engine. `rank` is the order of its checks."""

    rank: int
    status: int
    code: str
    message: str


_UNREADABLE = _Refusal(0, 400, EXTRACTION, "failed to extract descriptor.yml from from bundle")
_INVALID = _Refusal(1, 400, SCHEMA, "Schema validation failed for the descriptor file")
_DUPLICATE = _Refusal(2, 409, "APPE-internal-task-exists", "Task already exists.")
_ARCHIVE = _Refusal(3, 400, BUNDLE, "unknown task bundle archive format")
_INCOMPLETE = _Refusal(4, 500, BUNDLE, "Invalid bundle format")
_FAILURE = _Refusal(5, 500, SERVER_ERROR, "Server error.")
_UNUSABLE = _Refusal(6, 400, BUNDLE, "localrun cannot run this bundle")


def add(service: AppEngine, folder: Path, scope: Scope) -> UploadedTask:
    """Make a task of the bundle in a folder of `UploadedTasks.receiving`.

    Notes in `scope` what App Engine does differently. Raises `AppEngineError`.
    """
    path = folder / BUNDLE_FILE
    report = validate_upload(path, cache=service.app.settings.cache)
    found = [one for one in report.findings if one.severity is not Severity.WARNING and one.step == "upload"]
    refusal = min(map(_refusal, found), default=None)
    described = report.descriptor or _read_descriptor(path)
    is_duplicate = described is not None and service.tasks.find(described.namespace, described.version)
    if is_duplicate and (refusal is None or refusal > _DUPLICATE):
        raise _error(_DUPLICATE, (), path, scope)
    if refusal is not None:
        raise _error(refusal, found, path, scope)
    assert described is not None
    _extract_logo(path, folder)
    if any(finding.row == "tar_ending" for finding in report.findings):
        deviate(scope, "image_name")
    try:
        return service.tasks.add(folder, described)
    except DuplicateTask:
        raise _error(_DUPLICATE, (), path, scope) from None


def _refusal(finding: Finding) -> _Refusal:
    if finding.code == EXTRACTION:
        return _UNREADABLE
    if finding.code == SCHEMA:
        return _INVALID
    if finding.code == SERVER_ERROR:
        return _FAILURE
    if not finding.code:
        return _UNUSABLE
    is_incomplete = finding.row in _MISSING_KEYS or _NO_DESCRIPTOR.search(finding.problem.message)
    return _INCOMPLETE if is_incomplete else _ARCHIVE


def _error(refusal: _Refusal, findings: Sequence[Finding], path: Path, scope: Scope) -> AppEngineError:
    if refusal in (_INVALID, _DUPLICATE) and _is_image_first(path):
        deviate(scope, "image_first")
    if refusal is _UNUSABLE:
        deviate(scope, "bundle_unusable")
    elif refusal not in (_INVALID, _DUPLICATE):
        deviate(scope, "upload_details")
    errors = [_item(finding, _refusal(finding)) for finding in findings]
    return AppEngineError(refusal.status, refusal.code, refusal.message, batch(errors) if errors else None)


def _item(finding: Finding, refusal: _Refusal) -> dict[str, object]:
    """Return a problem as an entry of the details. Cytomine's page shows only its message."""
    problem = finding.problem
    is_schema = refusal is _INVALID
    path = _LIST_ITEM.sub(r"\1[\2]", problem.path) if is_schema else problem.path
    message = _schema_message(path, finding) if is_schema else _text(problem)
    return error_object(SCHEMA_ITEM if is_schema else refusal.code, message, parameter(path))


def _text(problem: Problem) -> str:
    text = f"{problem.path}: {problem.message}" if problem.path else problem.message
    return f"{text}; {problem.remedy}" if problem.remedy else text


def _schema_message(path: str, finding: Finding) -> str:
    """Return a problem in the words of App Engine's validator, if they are known."""
    place, message = path.replace(".", " ") or "$", finding.problem.message
    if message == "missing required field" or finding.row == "author":
        return f"{place} is missing but it is required"
    if found := _MISMATCH.fullmatch(message):
        expected, actual = (_JSON_TYPES.get(word, word) for word in found.groups())
        return f"{place} {actual} found, {expected} expected"
    return f"{place} {message}"


def _is_image_first(path: Path) -> bool:
    """Return whether the image precedes the descriptor: App Engine's answer is another one then."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.infolist(), key=lambda item: item.header_offset)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False
    names = [item.filename for item in members]
    first = next((name for name in names if name.endswith(".tar") or is_descriptor(name)), "")
    return first.endswith(".tar") and any(map(is_descriptor, names))


def _read_descriptor(path: Path) -> Descriptor | None:
    """Return the descriptor of a bundle whose image is invalid."""
    with suppress(OSError, BundleError, DescriptorError), open_zip(path) as archive:
        name = next(filter(is_descriptor, archive.names), None)
        return descriptors.read(archive.read(name)) if name else None
    return None


def _extract_logo(path: Path, folder: Path) -> None:
    """Write the logo of a bundle next to it, if it has one at its root."""
    with zipfile.ZipFile(path) as archive:
        found = next((item for item in archive.infolist() if item.filename.lower() == LOGO), None)
        if found is not None and found.file_size <= _LOGO_LIMIT:
            fs.write_new(f"{folder}/{LOGO}", archive.read(found))
