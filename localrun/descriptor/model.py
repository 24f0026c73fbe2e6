"""The content of a descriptor."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec

from localrun.descriptor.types import DataType
from localrun.errors import Problem


class Missing(Enum):
    """The type of `MISSING`, which marks a missing default; None stands for null."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing.MISSING


class Parameter(msgspec.Struct, frozen=True):
    """An input or output. `derived_from` and `matching` are references such as `inputs/image`."""

    name: str
    type: DataType
    description: str = ""
    display_name: str = ""
    optional: bool = False
    default: Any = MISSING
    derived_from: str | None = None
    matching: tuple[str, ...] = ()

    @property
    def has_default(self) -> bool:
        """Whether the descriptor sets a default (null counts)."""
        return self.default is not MISSING


class Author(msgspec.Struct, frozen=True):
    """An author of the task."""

    first_name: str = ""
    last_name: str = ""
    organization: str = ""
    email: str = ""
    is_contact: bool = False


class ResourceRequest(msgspec.Struct, frozen=True):
    """The resources of a run: whole CPUs, memory in bytes, GPUs, and network access."""

    cpus: int = 1
    memory: int = 4 * 1024**3  # App Engine: 4Gi, although the schema says 1Gi
    gpus: int = 0
    internet: bool = False


class Descriptor(msgspec.Struct, frozen=True):
    """The description of a task. The folders are paths inside the container.

    `source` is the file's content, `notes` are warnings for `validate` only.
    """

    name: str
    namespace: str
    version: str
    schema: str = ""
    name_short: str = ""
    description: str = ""
    authors: tuple[Author, ...] = ()
    source_code: str = ""
    doi: tuple[str, ...] = ()
    input_folder: str = "/inputs"
    output_folder: str = "/outputs"
    resources: ResourceRequest = ResourceRequest()
    inputs: dict[str, Parameter] = msgspec.field(default_factory=dict)
    outputs: dict[str, Parameter] = msgspec.field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    source: bytes = b""
