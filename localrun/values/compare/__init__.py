"""Compare two tasks: their inputs, limits, results and outputs."""

from localrun.values.compare.change import Change
from localrun.values.compare.tasks import SECTIONS, ComparedTask, diff_durations, diff_tasks

__all__ = ["SECTIONS", "Change", "ComparedTask", "diff_durations", "diff_tasks"]
