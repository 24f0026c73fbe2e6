"""Check that this machine can run tasks: software, engine, machine, folders and leftovers.

Nothing is changed. A check that is not possible does not prevent the others.
"""

from localrun.maintenance.doctor.check import Check, fail, ok, warn
from localrun.maintenance.doctor.run import SECTIONS, check_all

__all__ = ["SECTIONS", "Check", "check_all", "fail", "ok", "warn"]
