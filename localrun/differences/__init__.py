"""In what two tasks differ: what they were given, under which limits, how they ended, and what they gave."""

from localrun.differences.change import Change
from localrun.differences.tasks import SECTIONS, Side, between, durations

__all__ = ["SECTIONS", "Change", "Side", "between", "durations"]
