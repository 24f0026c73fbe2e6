"""May this task start now, given cpu, memory, gpu and disk?

What is promised to whom stands in a ledger that every localrun process of the machine shares; what the
machine is really doing comes from samples of the host. Nothing starts on a promise that is already given.
"""

from localrun.admission.admission import Admission, Reservation, Snapshot
from localrun.admission.host import Disk, HostSample, sample_host
from localrun.admission.ledger import LedgerEntry, machine_ledger_path
from localrun.admission.queue import Capacity

__all__ = [
    "Admission",
    "Capacity",
    "Disk",
    "HostSample",
    "LedgerEntry",
    "Reservation",
    "Snapshot",
    "machine_ledger_path",
    "sample_host",
]
