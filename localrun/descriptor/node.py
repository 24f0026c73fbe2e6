"""One place in a descriptor: the value there, its path, and a way to say what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from localrun.descriptor.divergences import divergence
from localrun.descriptor.types import describe_type, format_value
from localrun.descriptor.yaml import Node
from localrun.errors import Problem
from localrun.suggestions import closest, did_you_mean


class DescriptorReport:
    """What was found wrong in one file, and what may be wrong elsewhere."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []


class DescriptorNode:
    """A node with its path; a getter that finds nothing fit says so in the report and gives None."""

    __slots__ = ("node", "path", "report")

    def __init__(self, node: Node, path: str, report: DescriptorReport) -> None:
        self.node = node
        self.path = path
        self.report = report

    @property
    def value(self) -> Any:
        """The value: a scalar, or a list or dict of nodes."""
        return self.node.value

    def problem(self, message: str, remedy: str = "", key: str = "") -> Problem:
        """A problem here, or at a key that should be here."""
        path = ".".join(part for part in (self.path, key) if part)
        return Problem(path, message, remedy, self.report.file, self.node.line, self.node.column)

    def error(self, message: str, remedy: str = "", key: str = "") -> None:
        """Say what is wrong."""
        self.report.problems.append(self.problem(message, remedy, key))

    def warn(self, message: str, remedy: str = "", key: str = "") -> None:
        """Say what is ignored here, or refused elsewhere."""
        self.report.warnings.append(self.problem(message, remedy, key))

    def warn_divergence(self, row: str, key: str = "") -> None:
        """Warn of a row of the table of divergences."""
        found = divergence(row)
        self.warn(found.warning, found.remedy, key)

    def _wrong(self, wanted: str, remedy: str = "") -> None:
        value = self.node.to_python() if self.node.weight < 50 else "..."
        said, what = format_value(value), describe_type(value)
        found = said if said == what else f"{said} is {what}"
        self.error(f"{found}, not {wanted}", remedy)

    def string(self) -> str | None:
        """A text."""
        if isinstance(self.value, str):
            return self.value
        quotable = isinstance(self.value, (bool, int, float))
        self._wrong("text", "put it in quotes" if quotable else "write a text")
        return None

    def match_string(self, pattern: str, message: str, remedy: str) -> str | None:
        """A text that is wholly of a pattern."""
        found = self.string()
        if found is None or re.fullmatch(pattern, found, re.ASCII):
            return found
        self.error(f"{format_value(found)} {message}", remedy)
        return None

    def boolean(self) -> bool | None:
        """True or false."""
        if isinstance(self.value, bool):
            return self.value
        self._wrong("a boolean", "write true or false")
        return None

    def integer(self) -> int | None:
        """A whole number; `3.0` is one, as in JSON Schema."""
        if isinstance(self.value, float) and self.value.is_integer():
            return int(self.value)
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        self._wrong("an integer", "write a whole number, without quotes")
        return None

    def number(self) -> float | None:
        """Any number."""
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool):
            return self.value
        self._wrong("a number", "write a number, without quotes")
        return None

    def items(self, least: int = 0) -> list[DescriptorNode]:
        """The places of a list; none when it is no list."""
        if not isinstance(self.value, list):
            self._wrong("a list", "write a list such as [a, b]")
            return []
        if len(self.value) < least:
            self.error(f"has {len(self.value)} items, fewer than {least}", "add one")
        return [self._inner(node, str(index)) for index, node in enumerate(self.value)]

    def check_mapping(self, known: Collection[str] = ()) -> bool:
        """Whether it is a mapping; warns of keys that are not known, when some are."""
        if not isinstance(self.value, dict):
            self._wrong("a mapping", "write keys and values below it")
            return False
        for key in self.value if known else ():
            if key not in known:
                guess = did_you_mean(key, (one for one in known if one not in self.value))
                self._inner(self.value[key], key).warn("is not known and is ignored", guess)
        return True

    def entries(self) -> Iterator[tuple[str, DescriptorNode]]:
        """The keys of a mapping and their places."""
        for key, node in self.value.items():
            yield key, self._inner(node, key)

    def get(self, key: str) -> DescriptorNode | None:
        """The place of a key of a mapping, if it is there."""
        node = self.value.get(key)
        return None if node is None else self._inner(node, key)

    def require(self, key: str, known: Collection[str] = ()) -> DescriptorNode | None:
        """The place of a key that must be there."""
        found = self.get(key)
        if found is None:
            # a key with a slip in it is the likely reason, so it is named
            slip = closest(key, (one for one in self.value if one not in known))
            self.error("is missing", f"rename {slip!r} to {key!r}" if slip else f"add {key}", key)
        return found

    def _inner(self, node: Node, part: str) -> DescriptorNode:
        return DescriptorNode(node, f"{self.path}.{part}" if self.path else part, self.report)
