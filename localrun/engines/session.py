"""The engine protocol for programs that read standard input: their output, and what is typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol


class ContainerSession(Protocol):
    """A connection to the standard streams of a container. Iterating ends when the container has ended."""

    def __iter__(self) -> Iterator[tuple[Literal["stdout", "stderr"], bytes]]: ...

    def send(self, data: bytes) -> None:
        """Pass input to the program. Does nothing once it has ended."""

    def end_input(self) -> None:
        """Close the program's standard input, after what was sent."""

    def close(self) -> None:
        """Close the connection. Idempotent."""


class Interactive(Protocol):
    """The part of an engine that connects to a container whose spec is `interactive`. Thread-safe."""

    def connect(self, handle: str) -> ContainerSession:
        """Connect to a container before its start. Raises `EngineError`."""

    def resize(self, handle: str, rows: int, columns: int) -> None:
        """Set the size of a running container's terminal. Does nothing if it is not running."""
