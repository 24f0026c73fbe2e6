"""The descriptor of a task: metadata, inputs, outputs and required resources."""

from localrun.descriptor.model import MISSING, Author, Descriptor, Parameter, ResourceRequest
from localrun.descriptor.reader import read

__all__ = ["MISSING", "Author", "Descriptor", "Parameter", "ResourceRequest", "read"]
