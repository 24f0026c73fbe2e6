"""Decide whether a task may start now, given CPU, memory, GPU and disk.

Reservations are recorded in a ledger that all localrun processes of the machine share. The actual load
comes from samples of the host. Reserved resources are never reserved a second time.
"""

from localrun.admission.admission import Admission, Reservation, Snapshot
from localrun.admission.entry import LedgerEntry
from localrun.admission.host import Disk, HostSample, sample_host
from localrun.admission.queue import Capacity
from localrun.admission.users import machine_ledger_path

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
