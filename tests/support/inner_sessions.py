"""Sessions of pytest that tests start with `pytester` in their own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from _pytest.pytester import SysModulesSnapshot

_LIBRARIES = (str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix)


class LibrariesKept(SysModulesSnapshot):
    """Removes the modules that a session has imported, except for those of libraries and of localrun.

    A library that is imported twice has each class twice, so its errors are not caught any more, and numpy
    refuses to be imported again.
    """

    def __init__(self, preserve: Callable[[str], bool] | None = None) -> None:
        super().__init__(_is_library)


def _is_library(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    return file is not None and file.startswith(_LIBRARIES)
