"""Values become files, and files become values."""

from localrun.values.collection import Collected, collect
from localrun.values.parsing import Assigned, FileValue, load_values, parse_assignments
from localrun.values.provisioning import Provisioned, provision

__all__ = [
    "Assigned",
    "Collected",
    "FileValue",
    "Provisioned",
    "collect",
    "load_values",
    "parse_assignments",
    "provision",
]
