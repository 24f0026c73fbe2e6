"""The number of objects of this package in memory, and the sizes of their containers."""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

_CONTAINERS = (dict, list, set, deque, WeakSet, WeakKeyDictionary, WeakValueDictionary)


def object_sizes() -> Counter[str]:
    """Return the numbers of objects by class, and the items of all containers by their class or module."""
    gc.collect()
    sizes: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = type(one)
        if isinstance(one, ModuleType) and one.__name__.startswith("localrun"):
            owner, attributes = one.__name__, iter(vars(one).items())
        elif str(getattr(kind, "__module__", "")).startswith("localrun"):
            owner, attributes = f"{kind.__module__}.{kind.__qualname__}", _attributes(one)
            sizes[owner] += 1
        else:
            continue
        for name, value in attributes:
            if isinstance(value, _CONTAINERS):
                sizes[f"{owner}.{name}"] += len(value)
    return sizes


def _attributes(one: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(one, "__dict__", {}).items()
    for kind in type(one).__mro__:
        names = vars(kind).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if isinstance(name, str) and hasattr(one, name):
                yield name, getattr(one, name)


def grown(before: Counter[str], after: Counter[str], limit: int) -> dict[str, int]:
    """Return what has grown by more than `limit`, and by how much."""
    return {name: size - before[name] for name, size in after.items() if size - before[name] > limit}
