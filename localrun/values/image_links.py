"""Which image an output belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, Image


def image_of(descriptor: Descriptor, output: str, indexes: Sequence[int] = ()) -> str | None:
    """Return the place of the image that an output, or an item of it, describes; None if it is not known.

    It is the image that the output is derived from, or else the only image input. `nuclei/I/J` and `nuclei/I`
    belong to `images/I`.
    """
    images = {name: one.type for name, one in descriptor.inputs.items() if _depth(one.type) is not None}
    source = descriptor.outputs[output].derived_from
    if source is not None:
        name = source.removeprefix("inputs/")
    elif len(images) == 1:
        name = next(iter(images))
    else:
        return None
    depth = _depth(images[name]) if name in images else None
    if depth is None or len(indexes) < depth:
        return None
    return "/".join([name, *map(str, indexes[:depth])])


def _depth(kind: DataType) -> int | None:
    """Return how many arrays are around an image; None for any other type."""
    if isinstance(kind, Array):
        inner = _depth(kind.subtype)
        return None if inner is None else inner + 1
    return 0 if isinstance(kind, Image) else None
