"""Values become files, and files become values."""

from localrun.values.collect import Collected, collect
from localrun.values.given import Assigned, FileValue, load_values, parse_assignments
from localrun.values.provision import Provisioned, provision

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
