"""The sheet of a task, as `kubectl describe pod` gives it of a pod."""

from localrun.cli.describe.format import lines
from localrun.cli.describe.sections import sheet

__all__ = ["lines", "sheet"]
