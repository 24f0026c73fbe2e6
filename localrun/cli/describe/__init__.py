"""A task in the form of `kubectl describe pod`."""

from localrun.cli.describe.format import format_lines
from localrun.cli.describe.sections import describe

__all__ = ["describe", "format_lines"]
