"""The sheet of a task, as `kubectl describe pod` gives it of a pod."""

from localrun.cli.describe.format import format_lines
from localrun.cli.describe.sections import describe

__all__ = ["describe", "format_lines"]
