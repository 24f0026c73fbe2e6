"""In what two tasks differ: what they were given, under which limits, how they ended, and what they gave."""

from localrun.values.compare.change import Change
from localrun.values.compare.tasks import SECTIONS, ComparedTask, diff_durations, diff_tasks

__all__ = ["SECTIONS", "Change", "ComparedTask", "diff_durations", "diff_tasks"]
