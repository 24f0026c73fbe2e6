from __future__ import annotations

import itertools
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from localrun.console.display.sanitize import LineBuffer, TerminalText, escape_control_chars, escape_lines


def test_a_terminal_command_is_escaped() -> None:
    assert escape_control_chars("\x1b]0;you\x07 \x1b[2Jgone") == "\\x1b]0;you\\x07 \\x1b[2Jgone"


def test_colours_are_removed() -> None:
    assert escape_control_chars("\x1b[1;31mred\x1b[0m") == "red"


def test_text_in_any_language_is_unchanged() -> None:
    assert escape_control_chars("größe\t日本語 ✓") == "größe\t日本語 ✓"


def test_bidirectional_controls_are_escaped() -> None:
    assert escape_control_chars("a\u202eb\u2066c\x9bd") == "a\\u202eb\\u2066c\\x9bd"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_no_control_character_passes(text: str) -> None:
    shown = escape_lines(text)
    assert {char for char in shown if unicodedata.category(char) == "Cc"} <= {"\n", "\t"}


@given(st.lists(st.text(alphabet="ab \t", max_size=8), max_size=8), st.lists(st.integers(0, 60), max_size=10))
def test_lines_do_not_depend_on_chunk_boundaries(lines: list[str], cuts: list[int]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    joined = LineBuffer()
    found = [line for a, b in itertools.pairwise(edges) for line in joined.feed(text[a:b])]
    assert found == lines
    assert list(joined.flush()) == []


def test_a_last_line_without_an_end_is_not_lost() -> None:
    lines = LineBuffer()
    assert list(lines.feed("a\nb")) == ["a"]
    assert list(lines.flush()) == ["b"]
    assert list(lines.flush()) == []


def test_only_the_last_state_of_a_progress_bar_is_kept() -> None:
    assert list(LineBuffer().feed("10 %\r50 %\r100 %\r\n")) == ["100 %"]


def test_a_line_without_end_is_flushed_at_the_limit() -> None:
    lines = LineBuffer()
    assert "".join(line for _ in range(100) for line in lines.feed("x" * 1000))
    bar = LineBuffer()
    assert [line for number in range(10_000) for line in bar.feed(f"\r{number} %")] == []
    assert list(bar.flush()) == ["9999 %"]


def test_the_current_state_of_a_growing_line_is_known() -> None:
    lines = LineBuffer()
    assert lines.feed("one\n10 %\r20 %") == ["one"]
    assert lines.growing == "20 %"
    lines.feed("\r")
    assert lines.growing == "20 %"
    assert lines.feed("\n") == ["20 %"]
    assert lines.growing == ""


@given(st.lists(st.text(alphabet="ab\r\n\x1b", max_size=4), max_size=8))
def test_a_log_for_a_terminal_does_not_depend_on_how_it_is_cut(parts: list[str]) -> None:
    text = TerminalText()
    shown = "".join(text.feed(part) for part in [*parts, "."])
    assert shown == TerminalText().feed("".join(parts) + ".")


def test_a_carriage_return_reaches_the_terminal_and_other_controls_do_not() -> None:
    assert TerminalText().feed("a\r\n10 %\r20 %\x1b[2J.") == "a\n10 %\r20 %\\x1b[2J."
