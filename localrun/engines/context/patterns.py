"""The patterns of a `.dockerignore`, with the semantics of BuildKit (moby's `patternmatcher`).

A pattern is translated to a regular expression without regard to character classes, and the result is
interpreted as Go does it. Odd patterns such as `[*]` or `**x` therefore match what they match in docker.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from localrun.engines.context.automaton import Automaton

# What Go's `strings.TrimSpace` removes
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LITERAL = frozenset(".+()|{}$")  # special in regular expressions only
_UNQUOTED = frozenset("+()|{}")  # in versions of docker before 23
_ANY = "[^/]"
_PARENTS = "(.*/)?"
_ESCAPES = {
    **{letter: f"\\{letter}" for letter in "afnrtvdDSwWAbB"},
    "s": r"\t\n\f\r ",
    "S": r"\S",
    "z": r"\Z",
}
_POSIX_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_POSIX = re.compile(r"\[:(\^?)(\w+):\]", re.ASCII)


_MOST_STARS = 2  # for `re`, whose time may grow with this power of the length of a path

_ZERO_WIDTH = re.compile(r"(?<!\\)(?:\\\\)*\\[AbBZ]")


class InvalidPattern(Exception):
    """A pattern that the engine refuses, with its reason."""


def clean(path: str) -> str:
    """Return the shortest equivalent of a path, as Go's `filepath.Clean`."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def parse_lines(text: str) -> list[str]:
    """Return the patterns of an ignore file: without comments, empty lines and leading slashes."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        pattern = line.strip(_SPACE)
        if not pattern or line.startswith("#"):
            continue
        invert = pattern.startswith("!")
        if invert:
            pattern = pattern[1:].strip(_SPACE)
        if pattern:
            pattern = clean(pattern)
            pattern = pattern[1:] if pattern.startswith("/") and len(pattern) > 1 else pattern
        patterns.append("!" * invert + pattern)
    return patterns


class Pattern:
    """One pattern. An `exception` starts with `!` and includes what an earlier pattern excluded."""

    def __init__(self, line: str) -> None:
        text = clean(line.strip(_SPACE))
        if text == "!":
            raise InvalidPattern('illegal exclusion pattern: "!"')
        self.exception = text.startswith("!")
        self.text = text.removeprefix("!")
        check_syntax(self.text)
        self._prefix: str | None = None
        self._suffix: str | None = None
        self._regex: re.Pattern[str] | None = None
        self._automaton: Automaton | None = None
        self._compile()

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches exactly this path, not one of its parents."""
        if self._automaton is not None:
            return self._automaton.matches(path)
        if self._regex is not None:
            return self._regex.fullmatch(path) is not None
        if self._prefix is not None:
            return path.startswith(self._prefix)
        if self._suffix is not None:
            return path.endswith(self._suffix) or "/" + path == self._suffix
        return path == self.text

    def _compile(self) -> None:
        regex, kind = _translate(self.text)
        if kind == "prefix":
            self._prefix = self.text[:-2]
        elif kind == "suffix":
            self._suffix = self.text[2:]
        elif kind == "regex":
            translated = _to_python(regex)
            try:
                self._regex = re.compile(translated, re.ASCII)
                if translated.count("*") > _MOST_STARS:
                    if found := _ZERO_WIDTH.search(translated):
                        raise InvalidPattern(f"{found[0]} is not supported together with many wildcards")
                    self._automaton = Automaton(translated)
            except (re.error, OverflowError) as error:
                raise InvalidPattern("syntax error in pattern") from error

    @property
    def portable(self) -> str:
        """The same pattern as versions of docker before 23 understand it, empty if it matches nothing."""
        text = self.text
        if text in (".", "..") or text.startswith("../"):
            return ""
        if self._suffix and not self._suffix.startswith("/"):
            text = f"**/*{self._suffix}"
        return f"{'!' * self.exception}/{_quote_special(text)}"

    @property
    def base(self) -> str:
        """The pattern without a trailing `/*` or `/**`."""
        return self.text.removesuffix("/**").removesuffix("/*")


class Patterns:
    """The patterns of an ignore file. The last one that matches a path or one of its parents applies.

    Raises `InvalidPattern`, with the line in the message.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns: list[Pattern] = []
        for line in lines:
            try:
                self._patterns.append(Pattern(line))
            except InvalidPattern as error:
                raise InvalidPattern(f"'{line}': {error}") from error
        self._exceptions = [pattern.base for pattern in self._patterns if pattern.exception]
        self._has_glob_exceptions = any(re.search(r"[*\[\]?^\\]", base) for base in self._exceptions)

    def match(self, path: str, parent: tuple[bool, ...] = ()) -> tuple[bool, tuple[bool, ...]]:
        """Return whether a path is excluded, and which patterns match it or a parent.

        `parent` is the second result for the folder of the path; empty at the root of the context.
        """
        excluded, matched = False, []
        for number, pattern in enumerate(self._patterns):
            found = bool(parent) and parent[number]
            # as in docker: a pattern that would change nothing is not evaluated, and its result is not
            # known for the paths below
            if not found and pattern.exception == excluded:
                found = pattern.matches(path)
            matched.append(found)
            if found:
                excluded = not pattern.exception
        return excluded, tuple(matched)

    def excludes(self, path: str) -> bool:
        """Return whether a path is excluded, by itself or with a folder above it."""
        excluded = False
        matched: tuple[bool, ...] = ()
        for end in [*(found.start() for found in re.finditer("/", path)), len(path)]:
            excluded, matched = self.match(path[:end], matched)
        return excluded

    def portable_lines(self) -> list[str]:
        """Return an ignore file with these patterns that versions of docker before 23 understand as well."""
        return [line for pattern in self._patterns if (line := pattern.portable)]

    def may_include_below(self, folder: str) -> bool:
        """Return whether an exception may include a path below an excluded folder."""
        if self._has_glob_exceptions:
            return True
        return any(f"{base}/".startswith(f"{folder}/") for base in self._exceptions)


def check_syntax(pattern: str) -> None:
    """Raise `InvalidPattern` for what Go's `filepath.Match` calls a syntax error."""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "\\":
            position = _skip_character(pattern, position - 1)
        elif character == "[":
            position = _skip_class(pattern, position)


def _skip_class(pattern: str, position: int) -> int:
    if pattern[position : position + 1] == "^":
        position += 1
    ranges = 0
    while not (ranges and pattern[position : position + 1] == "]"):
        position = _skip_class_character(pattern, position)
        if pattern[position : position + 1] == "-":
            position = _skip_class_character(pattern, position + 1)
        ranges += 1
    return position + 1


def _skip_class_character(pattern: str, position: int) -> int:
    if pattern[position : position + 1] in ("", "-", "]"):
        raise InvalidPattern("syntax error in pattern")
    position = _skip_character(pattern, position)
    if position >= len(pattern):
        raise InvalidPattern("syntax error in pattern")
    return position


def _skip_character(pattern: str, position: int) -> int:
    if pattern[position] != "\\":
        return position + 1
    if position + 1 >= len(pattern):
        raise InvalidPattern("syntax error in pattern")
    return position + 2


def _quote_special(pattern: str) -> str:
    """Put the characters into classes that older versions of docker do not quote."""
    made, position = "", 0
    while position < len(pattern):
        end = position + 1
        if pattern[position] == "\\":
            end += 1
        elif pattern[position] == "[":
            end = _skip_class(pattern, end)
        part = pattern[position:end]
        made += f"[{part}]" if part in _UNQUOTED else part
        position = end
    return made


def _translate(pattern: str) -> tuple[str, str]:
    """Return the Go regular expression of a pattern, and how it is applied: exact, prefix, suffix, regex."""
    regex, kind, position = "", "exact", 0
    while position < len(pattern):
        character, first = pattern[position], position == 0
        position += 1
        if character == "*" and pattern[position : position + 1] == "*":
            position += 2 if pattern[position + 1 : position + 2] == "/" else 1
            if position < len(pattern):
                regex, kind = regex + _PARENTS, "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                regex, kind = regex + ".*", "regex"
            kind = "suffix" if first else kind
        elif character in "*?":
            regex, kind = regex + _ANY + ("*" if character == "*" else ""), "regex"
        elif character in _LITERAL:
            regex += "\\" + character
        elif character == "\\":
            regex, kind = regex + "\\" + pattern[position], "regex"
            position += 1
        else:
            regex, kind = regex + character, "regex" if character in "[]" else kind
    return regex, kind


def _to_python(regex: str) -> str:
    """Return the Python equivalent of a Go regular expression that `_translate` made."""
    made, position = "", 0
    while position < len(regex):
        character = regex[position]
        if character == "\\":
            made += _escape(regex[position + 1], inside=False)
            position += 2
        elif character == "[":
            found, position = _class_to_python(regex, position + 1)
            made += found
        else:
            made += character
            position += 1
    return made


def _class_to_python(regex: str, position: int) -> tuple[str, int]:
    made = "["
    if regex.startswith("^", position):
        made, position = made + "^", position + 1
    start = position
    while position < len(regex) and (regex[position] != "]" or position == start):
        posix = _POSIX.match(regex, position)
        if posix:
            made += _posix_class(posix)
            position = posix.end()
        elif regex[position] == "\\":
            made += _escape(regex[position + 1], inside=True)
            position += 2
        else:
            made += "\\" * (regex[position] in "[]&~|") + regex[position]
            position += 1
    if position >= len(regex):
        raise InvalidPattern("syntax error in pattern")
    return made + "]", position + 1


def _posix_class(found: re.Match[str]) -> str:
    if found[1] or found[2] not in _POSIX_CLASSES:
        raise InvalidPattern(f"character class {found[0]} is not supported")
    return _POSIX_CLASSES[found[2]]


def _escape(character: str, *, inside: bool) -> str:
    if character.isascii() and not character.isalnum():
        return re.escape(character)
    if character not in _ESCAPES or (inside and character in "AzbB"):
        raise InvalidPattern("syntax error in pattern")
    if character == "s" and not inside:
        return f"[{_ESCAPES['s']}]"
    return _ESCAPES[character]
