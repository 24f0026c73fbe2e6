"""A truth value that is read as a property, or called as Inductiva's methods are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Truth = bool  # so that the property can be used as one
else:
    Truth = int  # a bool has no subclasses


class Flag(Truth):  # type: ignore[misc]
    """True or False; calling it returns the `bool`: `task.is_running()` is `task.is_running`."""

    def __new__(cls, value: object) -> Flag:
        return super().__new__(cls, bool(value))  # type: ignore[return-value]

    def __call__(self) -> bool:
        return bool(self)

    def __repr__(self) -> str:
        return repr(bool(self))

    def __str__(self) -> str:
        return repr(bool(self))

    def __format__(self, spec: str) -> str:
        return format(repr(bool(self)), spec)
