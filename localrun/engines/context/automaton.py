"""Match patterns with many wildcards in linear time, as Go's regular expressions do.

Python's `re` tries all ways to divide a path among wildcards, which takes hours for a few lines of a hostile
ignore file.
"""

from __future__ import annotations

import re
from itertools import pairwise

_PARENTS = "(.*/)?"
_NEVER = "(?!)"  # matches no character
_ATOM = re.compile(r"(\(\.\*/\)\?|\\.|\[\^?(?:\\.|[^\\])(?:\\.|[^\]\\])*\]|.)(\*?)", re.DOTALL)


class Automaton:
    """A set of states, one bit for each atom: an atom is one character, or any number of them.

    `pattern` is an expression of `patterns`, in which only `*` repeats and only `(.*/)?` is optional.
    """

    def __init__(self, pattern: str) -> None:
        atoms: list[str] = []
        skips = 0  # the states that can be left without a character
        optional = 0  # the first state of each `(.*/)?`, which can be left out as a whole
        for before, (atom, star) in pairwise([("", ""), *_ATOM.findall(pattern)]):
            place = 1 << len(atoms)
            if atom == _PARENTS:
                optional |= place
                skips |= place | place << 1
                atoms += [_NEVER, ".", "/"]
            elif not star or (atom, star) != before:  # two equal stars are one
                skips |= place if star else 0
                atoms.append(atom)
        self._skips, self._optional = skips, optional
        self._anchors = sum(1 << at for at, atom in enumerate(atoms) if atom == "^")
        self._atoms = [re.compile(atom, re.ASCII) for atom in atoms]
        self._end = 1 << len(atoms)
        self._accepting: dict[str, int] = {}

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches."""
        states = self._reachable(1, self._skips | self._anchors)
        for character in text:
            moved = states & self._atoms_of(character)
            states = self._reachable(moved & self._skips | (moved & ~self._skips) << 1, self._skips)
            if not states:
                return False
        return bool(states & self._end)

    def _atoms_of(self, character: str) -> int:
        """Return the states whose atom is this character."""
        if character not in self._accepting:
            found = sum(1 << at for at, one in enumerate(self._atoms) if one.fullmatch(character))
            self._accepting[character] = found
        return self._accepting[character]

    def _reachable(self, states: int, skips: int) -> int:
        """Return the states and those that follow without a character."""
        while True:
            more = states | (states & skips) << 1 | (states & self._optional) << 3
            if more == states:
                return states
            states = more
