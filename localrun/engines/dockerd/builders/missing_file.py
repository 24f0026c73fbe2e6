"""The remedy for a COPY of a file that exists, but not in the build context."""

from __future__ import annotations

import re

from localrun.engines.base import BuildRequest
from localrun.engines.context.files import BuildContext
from localrun.errors import ImageError

# BuildKit's error, and the classic builder's
_MISSING = re.compile(
    r'"/(?P<name>[^"]+)":? not found|excluded by \.dockerignore: stat (?P<classic>.+?): file does not exist'
)
_NEAR = 4  # parent folders in which the file is looked for


def missing_file_remedy(request: BuildRequest, reason: str) -> str:
    """Return what to do if a missing file is excluded or above the context, or ''."""
    found = _MISSING.search(reason)
    if found is None:
        return ""
    name = next(filter(None, found.groups()))
    if (request.folder / name).exists():
        return _excluded(request, name)
    for parent in request.folder.parents[:_NEAR]:
        if (parent / name).exists():
            return f"{name} is in {parent}, outside of the build context: `--context {parent}`"
    return ""


def _excluded(request: BuildRequest, name: str) -> str:
    context = BuildContext(request.folder, request.dockerfile)
    try:
        excluded = context.patterns.excludes(name)
    except ImageError:
        return ""
    if not excluded or context.ignore_file is None:
        return ""
    return f"{context.ignore_file} excludes {name}: remove the pattern, or add the line `!{name}`"
