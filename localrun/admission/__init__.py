"""May this task start now, given cpu, memory, gpu and disk?

What is promised to whom stands in a ledger that every localrun process of the machine shares; what the
machine is really doing comes from samples of the host. Nothing starts on a promise that is already given.
"""

from localrun.admission.admission import Admission, Reservation, Snapshot
from localrun.admission.host import Disk, HostSample, sample
from localrun.admission.ledger import Entry, machine_ledger
from localrun.admission.queue import Capacity

__all__ = [
    "Admission",
    "Capacity",
    "Disk",
    "Entry",
    "HostSample",
    "Reservation",
    "Snapshot",
    "machine_ledger",
    "sample",
]
