"""Write input values to files, and read output files as values."""

from localrun.values.collection import CollectedOutputs, collect
from localrun.values.input_folder import read_folder
from localrun.values.parsing import Assignments, FileValue, load_values, parse_assignments
from localrun.values.provisioning import PlannedInputs, ProvisionedInputs, check, plan, provision, write

__all__ = [
    "Assignments",
    "CollectedOutputs",
    "FileValue",
    "PlannedInputs",
    "ProvisionedInputs",
    "check",
    "collect",
    "load_values",
    "parse_assignments",
    "plan",
    "provision",
    "read_folder",
    "write",
]
