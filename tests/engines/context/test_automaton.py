"""Ignore patterns with many wildcards: the same matches as `re`, in linear time."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from localrun.engines.context.automaton import Automaton
from localrun.engines.context.patterns import InvalidPattern, Pattern
from tests.support.work import count_calls


@given(st.text("ab/*?[]^.-!", min_size=1, max_size=9), st.text("ab/.^-*[]", max_size=8))
def test_it_matches_what_the_regular_expression_matches(line: str, path: str) -> None:
    try:
        regex = Pattern(line)._regex
    except InvalidPattern:
        regex = None
    assume(regex is not None)
    assert regex is not None
    assert Automaton(regex.pattern).matches(path) == (regex.fullmatch(path) is not None)


@pytest.mark.parametrize(("piece", "step"), [("**/a/", "a/"), ("*a", "a"), ("**a", "a/"), ("[ab]*?", "a")])
def test_a_pattern_of_many_wildcards_is_matched_in_linear_time(piece: str, step: str) -> None:
    pattern = Pattern(piece * 30 + "c")
    assert not pattern.matches(step * 40)
    few, many = (count_calls(lambda n=n: pattern.matches(step * n)) for n in (100, 400))  # type: ignore[misc]
    assert many < 6 * few


def test_a_word_boundary_with_many_wildcards_is_refused() -> None:
    with pytest.raises(InvalidPattern, match="not supported together with many wildcards"):
        Pattern("*a*b*\\bc")
