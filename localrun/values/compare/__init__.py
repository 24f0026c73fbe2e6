"""In what two tasks differ: what they were given, under which limits, how they ended, and what they gave."""

from localrun.values.compare.change import Change
from localrun.values.compare.tasks import SECTIONS, Side, between, durations

__all__ = ["SECTIONS", "Change", "Side", "between", "durations"]
