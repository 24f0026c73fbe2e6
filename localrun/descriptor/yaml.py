"""Read YAML with source positions, in the dialect that App Engine reads.

The dialect is YAML 1.1 without timestamps, sexagesimals, infinities and one-letter booleans. Hostile files
(alias bombs, endless nesting) are refused, and no tag creates Python objects.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from localrun.descriptor.divergences import divergence
from localrun.errors import Problem

MAX_DEPTH = 64
MAX_NODES = 20_000  # an alias counts each time it is used
_MAX_DIGITS = 400
_MAX_SERIALIZED = 5000  # nodes; larger documents take longer to deserialize than to parse

_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {
    spelling: word in ("true", "yes", "on")
    for word in ("true", "yes", "on", "false", "no", "off")
    for spelling in (word, word.capitalize(), word.upper())
}
_BASES = (
    (r"[-+]?0b_*[01][01_]*", 2),
    (r"[-+]?0x_*[0-9a-fA-F][0-9a-fA-F_]*", 16),
    (r"[-+]?0_*[0-7][0-7_]*", 8),
    (r"[-+]?(?:0|[1-9][0-9_]*)", 10),
)
_FLOAT = r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)"  # noqa: E501
_NOT_FINITE = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
_TAG = "tag:yaml.org,2002:"


class DocumentError(ValueError):
    """The file is not valid YAML; `problem` has the position and the reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Node(msgspec.Struct, frozen=True, array_like=True):
    """A value and its position: line and column from 1, of the key if it has one.

    `value` is None, bool, int, float, str, a list of nodes or a dict of nodes. `weight` is the number of
    nodes, including this one, and `depth` the number of levels.
    """

    value: Any
    line: int
    column: int
    weight: int = 1
    depth: int = 1

    def to_python(self) -> Any:
        """Return the value without positions."""
        if isinstance(self.value, dict):
            return {key: child.to_python() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.to_python() for child in self.value]
        return self.value


class Document(msgspec.Struct, frozen=True):
    """The content of a file, and warnings about it."""

    root: Node
    warnings: tuple[Problem, ...] = ()


def read(data: bytes, file: str, *, limit: int = MAX_NODES) -> Document:
    """Read the first document of a UTF-8 file, of at most `limit` values. Raises `DocumentError`."""
    import yaml

    text = _decode(data, file)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # without libyaml, the scanner reads its first characters at once, so it may raise here
        builder = _TreeBuilder(loader(text), file, limit)
        return Document(builder.document(), tuple(builder.warnings))
    except yaml.YAMLError as error:
        raise DocumentError(_syntax(error, file)) from None


def serialize(document: Document) -> dict[str, Any] | None:
    """Return a document as JSON data for a cache, or None if it has warnings or is large."""
    if document.warnings or document.root.weight > _MAX_SERIALIZED:
        return None
    return {"root": msgspec.to_builtins(document.root)}


def deserialize(data: Any) -> Document | None:
    """Return the document of `serialize`, or None if the data is invalid."""
    try:
        return Document(_from_list(data["root"]))
    except (KeyError, TypeError, ValueError):
        return None


def _from_list(packed: list[Any]) -> Node:
    value, line, column, weight, depth = packed
    if isinstance(value, dict):
        value = {key: _from_list(child) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_from_list(child) for child in value]
    return Node(value, int(line), int(column), int(weight), int(depth))


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"invalid UTF-8 byte {data[error.start]:#04x}"
        raise DocumentError(Problem("", message, "save the file as UTF-8", file, line, column)) from None


def _syntax(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    parts = [getattr(error, name, None) for name in ("context", "problem")]
    what = ", ".join(part for part in parts if part) or str(error).partition("\n")[0]
    return Problem("", f"invalid YAML: {what}", "fix the syntax here", file=file, line=line, column=column)


class _TreeBuilder:
    """Builds nodes from parser events and checks the limits while reading."""

    def __init__(self, events: Any, file: str, limit: int) -> None:
        self.events = events
        self.limit = limit
        self.file = file
        self.warnings: list[Problem] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0
        self._makers = {"SequenceStartEvent": self._sequence, "MappingStartEvent": self._mapping}

    def document(self) -> Node:
        self.events.get_event()  # StreamStartEvent
        if type(self.events.get_event()).__name__ == "StreamEndEvent":
            return Node(None, 1, 1)
        return self._node(self.events.get_event(), 1)

    def _node(self, event: Any, depth: int) -> Node:
        self._count += 1
        if depth > MAX_DEPTH or self._count > self.limit:
            message = f"nested more than {MAX_DEPTH} levels deep, or more than {self.limit} values"
            raise self._error(event, message)
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event, depth)
        node = self._scalar(event) if kind == "ScalarEvent" else self._makers[kind](event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._error(event, f"alias *{event.anchor} without an anchor before it")
        # an alias counts as all of its nodes, so a few lines cannot expand to millions
        self._count += node.weight
        if self._count > self.limit:
            message = f"more than {self.limit} values (an alias counts each time it is used)"
            raise self._error(event, message)
        if depth + node.depth > MAX_DEPTH:
            raise self._error(event, f"nested more than {MAX_DEPTH} levels deep")
        row = divergence("alias" if isinstance(node.value, str) else "alias_type")
        self._warn(event, f"alias *{event.anchor}: {row.warning}", row.remedy)
        return node

    def _scalar(self, event: Any) -> Node:
        if event.tag not in (None, "!"):
            value = self._resolve_tagged(event, event.tag)
        else:
            value = self._resolve(event) if event.implicit[0] else event.value
        return Node(value, *_position(event))

    def _resolve_tagged(self, event: Any, tag: str) -> Any:
        name = tag.removeprefix(_TAG)
        if name == "str":
            return event.value
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        value = self._resolve(event)
        if name not in kinds or not isinstance(value, kinds[name]):
            raise self._error(event, f"unsupported tag {tag!r}", "remove the tag")
        return float(value) if name == "float" else value

    def _resolve(self, event: Any) -> Any:
        text: str = event.value
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        # most words start with a letter and need no pattern
        return self._number(event, text) if text[0] in "0123456789.+-" else text

    def _number(self, event: Any, text: str) -> Any:
        if len(text) > _MAX_DIGITS:
            if not text.strip("+-_.0123456789"):
                raise self._error(event, f"number too long: {len(text)} characters (maximum {_MAX_DIGITS})")
            return text
        for pattern, base in _BASES:
            if re.fullmatch(pattern, text):
                return int(text.replace("_", ""), base)
        if re.fullmatch(_FLOAT, text):
            value = float(text.replace("_", ""))
            if math.isinf(value):
                raise self._error(event, f"number too large: {text}")
            return value
        if re.fullmatch(_NOT_FINITE, text):
            raise self._error(event, f"App Engine refuses {text}", 'put it in quotes: "inf" or "nan"')
        return text

    def _sequence(self, event: Any, depth: int) -> Node:
        self._check_tag(event, "seq")
        items: list[Node] = []
        while type(inner := self.events.get_event()).__name__ != "SequenceEndEvent":
            items.append(self._node(inner, depth + 1))
        return _parent(items, items, event)

    def _mapping(self, event: Any, depth: int) -> Node:
        self._check_tag(event, "map")
        found: dict[str, Node] = {}
        merged: list[Node] = []
        while type(inner := self.events.get_event()).__name__ != "MappingEndEvent":
            self._pair(inner, depth, found, merged)
        for source in merged:
            self._merge(source, found)
        return _parent(found, list(found.values()), event)

    def _pair(self, event: Any, depth: int, found: dict[str, Node], merged: list[Node]) -> None:
        if type(event).__name__ != "ScalarEvent":
            raise self._error(event, "invalid key: expected a string", "write the key as plain text")
        # a key is always a string, even if it looks like a number
        key: str = event.value
        value = self._node(self.events.get_event(), depth + 1)
        node = Node(value.value, *_position(event), value.weight, value.depth)
        if key == "<<" and event.implicit[0]:
            self._warn(event, "merge key <<: App Engine reads it as an ordinary key and merges nothing")
            merged.append(node)
            return
        if key in found:
            self._warn(event, f"duplicate key {key!r}: the last value is used", "remove one of them")
        found[key] = node

    def _merge(self, source: Node, found: dict[str, Node]) -> None:
        parts = source.value if isinstance(source.value, list) else [source]
        for part in parts:
            if not isinstance(part.value, dict):
                message = "<<: expected a mapping to merge"
                raise DocumentError(Problem("", message, "", self.file, source.line, source.column))
            for key, node in part.value.items():
                found.setdefault(key, node)

    def _check_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            raise self._error(event, f"unsupported tag {event.tag!r}", "remove the tag")

    def _warn(self, event: Any, message: str, remedy: str = "") -> None:
        self.warnings.append(Problem("", message, remedy, self.file, *_position(event)))

    def _error(self, event: Any, message: str, remedy: str = "") -> DocumentError:
        return DocumentError(Problem("", message, remedy, self.file, *_position(event)))


def _position(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _parent(value: Any, children: list[Node], event: Any) -> Node:
    weight = 1 + sum(child.weight for child in children)
    depth = 1 + max((child.depth for child in children), default=0)
    return Node(value, *_position(event), weight, depth)
