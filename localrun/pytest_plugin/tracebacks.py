"""Tracebacks of errors of localrun without its internal frames: the text of the error has the reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

_PACKAGE = Path(__file__).parents[1]
_INTERNAL = (_PACKAGE, Path(pytest.__file__).parent, Path(pytest.Item.__init__.__code__.co_filename).parent)


def shortened(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return the representation of an error of localrun with the frames of the project only.

    None for other errors, and with `--full-trace`.
    """
    errors = sys.modules.get("localrun.errors")  # not imported: nothing has raised such an error
    option = item.config.getoption
    if errors is None or not isinstance(excinfo.value, errors.LocalrunError) or option("fulltrace"):
        return None
    found = pytest.ExceptionInfo.from_exception(excinfo.value)
    kept = [entry for entry in _project_frames(found, item.config) if not entry.ishidden(found)]
    if not kept:
        shown: Any = found.getrepr(style="value", chain=False)
        # pytest omits the type of the error in this style
        shown.reprtraceback.reprentries[0].lines = [f"E   {line}" for line in found.exconly().splitlines()]
        return shown
    found.traceback = type(found.traceback)(kept)
    return found.getrepr(
        style="short" if option("tbstyle") == "short" else "long",
        showlocals=option("showlocals"),
        tbfilter=False,
        funcargs=True,
        chain=False,
    )


def _project_frames(found: pytest.ExceptionInfo[BaseException], config: pytest.Config) -> list[Any]:
    """Return the frames of the test and of what it calls; below localrun's, those of the project only."""
    kept, is_below = [], False
    for entry in found.traceback:
        path = Path(entry.path)
        is_below = is_below or path.is_relative_to(_PACKAGE)
        if any(path.is_relative_to(folder) for folder in _INTERNAL) or path.parent.name == "pluggy":
            continue
        if not is_below or path.is_relative_to(config.rootpath):
            kept.append(entry)
    return kept
