"""The sheet of a task, as `kubectl describe pod` gives it of a pod."""

from localrun.cli.sheet.facts import sheet
from localrun.cli.sheet.text import lines

__all__ = ["lines", "sheet"]
