"""The description of a task: what it is called, what it takes and gives, what it needs."""

from localrun.descriptor.model import MISSING, Author, Descriptor, Parameter, ResourceRequest
from localrun.descriptor.reader import read

__all__ = ["MISSING", "Author", "Descriptor", "Parameter", "ResourceRequest", "read"]
