"""Would tasks run here? One look at the engine, the machine, the folders, and what was left behind.

Nothing is changed, and what cannot be looked at keeps nothing else from being looked at.
"""

from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.maintenance.doctor.run import SECTIONS, check_all

__all__ = ["SECTIONS", "Check", "check_all", "fail", "ok", "warn"]
