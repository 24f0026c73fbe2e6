"""A value in a descriptor, with its path and methods that read it or report problems."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Any

from localrun.descriptor.divergences import divergence
from localrun.descriptor.types import format_value, type_mismatch
from localrun.descriptor.yaml import Node
from localrun.errors import Problem
from localrun.suggestions import closest
from localrun.units import format_count

_MOST_SUGGESTIONS, _MOST_WORDS = 100, 50  # searches in one file, and words of each


class DescriptorReport:
    """The problems and warnings of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.notes: list[Problem] = []
        self._suggestions = _MOST_SUGGESTIONS

    def closest(self, word: str, words: Iterable[str]) -> str | None:
        """Return the most similar of `words`, or None; also None after many searches, which are slow."""
        self._suggestions -= 1
        return closest(word, islice(words, _MOST_WORDS)) if self._suggestions >= 0 else None


class DescriptorNode:
    """A YAML node with its path. Its getters report an invalid value as a problem and return None."""

    __slots__ = ("node", "path", "report")

    def __init__(self, node: Node, path: str, report: DescriptorReport) -> None:
        self.node = node
        self.path = path
        self.report = report

    @property
    def value(self) -> Any:
        """The value: a scalar, or a list or dict of nodes."""
        return self.node.value

    def to_python(self) -> Any:
        return self.node.to_python()

    def _problem(self, message: str, remedy: str, key: str) -> Problem:
        """Return a problem at this place, or at a missing key below it."""
        path = ".".join(part for part in (self.path, key) if part)
        return Problem(path, message, remedy, self.report.file, self.node.line, self.node.column)

    def error(self, message: str, remedy: str = "", key: str = "") -> None:
        self.report.problems.append(self._problem(message, remedy, key))

    def warn(self, message: str, remedy: str = "", key: str = "") -> None:
        """Report something that localrun ignores or that App Engine refuses."""
        self.report.warnings.append(self._problem(message, remedy, key))

    def warn_divergence(self, row: str, key: str = "") -> None:
        found = divergence(row)
        self.warn(found.warning, found.remedy, key)

    def note_divergence(self, row: str, key: str = "") -> None:
        """Report something that concerns only `validate`."""
        found = divergence(row)
        self.report.notes.append(self._problem(found.warning, found.remedy, key))

    def _mismatch(self, expected: str, remedy: str) -> None:
        value = self.to_python() if self.node.weight < 50 else "..."
        self.error(type_mismatch(value, expected), remedy)

    def string(self) -> str | None:
        if isinstance(self.value, str):
            return self.value
        quotable = isinstance(self.value, (bool, int, float))
        self._mismatch("a string", "put it in quotes" if quotable else "write a string")
        return None

    def match_string(self, pattern: str, what: str, remedy: str) -> str | None:
        """Return a string that matches a whole pattern; `what` names it in the message."""
        found = self.string()
        if found is None or re.fullmatch(pattern, found, re.ASCII):
            return found
        self.error(f"invalid {what} {format_value(found)}", remedy)
        return None

    def boolean(self) -> bool | None:
        if isinstance(self.value, bool):
            return self.value
        self._mismatch("a boolean", "write true or false")
        return None

    def integer(self) -> int | None:
        """Return a whole number; `3.0` is one, as in JSON Schema."""
        if isinstance(self.value, float) and self.value.is_integer():
            return int(self.value)
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        self._mismatch("an integer", "write a whole number without quotes")
        return None

    def number(self) -> float | None:
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            return self.value
        self._mismatch("a number", "write a number without quotes")
        return None

    def items(self, least: int = 0) -> list[DescriptorNode]:
        """Return the nodes of a list, or an empty list if it is not a list."""
        if not isinstance(self.value, list):
            self._mismatch("a list", "write a list such as [a, b]")
            return []
        if len(self.value) < least:
            size = format_count(len(self.value), "item")
            self.error(f"has {size}, expected at least {least}", "add an item")
        return [self._inner(node, str(index)) for index, node in enumerate(self.value)]

    def check_mapping(self, known: Collection[str] = ()) -> bool:
        """Return whether it is a mapping; warn of keys that are not in `known`, unless that is empty."""
        if not isinstance(self.value, dict):
            self._mismatch("a mapping", "write `key: value` lines below it")
            return False
        for key in self.value if known else ():
            if key not in known:
                guess = self.report.closest(key, (one for one in known if one not in self.value))
                remedy = f"did you mean {guess!r}?" if guess else ""
                self._inner(self.value[key], key).warn("unknown field (ignored)", remedy)
        return True

    def entries(self) -> Iterator[tuple[str, DescriptorNode]]:
        for key, node in self.value.items():
            yield key, self._inner(node, key)

    def get(self, key: str) -> DescriptorNode | None:
        node = self.value.get(key)
        return None if node is None else self._inner(node, key)

    def require(self, key: str, known: Collection[str] = ()) -> DescriptorNode | None:
        """Return the node of a key; report a problem if it is missing."""
        found = self.get(key)
        if found is None:
            # the likely reason is a misspelled key, so the remedy names it
            typo = self.report.closest(key, (one for one in self.value if one not in known))
            remedy = f"rename {typo!r} to {key!r}" if typo else f"add {key!r}"
            self.error("missing required field", remedy, key)
        return found

    def _inner(self, node: Node, part: str) -> DescriptorNode:
        return DescriptorNode(node, f"{self.path}.{part}" if self.path else part, self.report)
