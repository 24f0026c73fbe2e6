from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun import units
from localrun.units import format_bytes, format_count, format_duration, parse_bytes, parse_duration


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2Gi", 2 * 1024**3),
        ("512M", 512_000_000),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("1k", 1000),
        ("7", 7),
        ("64MB", 64_000_000),
    ],
)
def test_sizes_are_read_as_kubernetes_writes_them(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Gi", "-1", "1K", "2 gi", "1e3", "1GiBB", "nan"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected e\.g\. 512Mi"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("250ms", 0.25)]
)
def test_durations_are_read_with_their_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "5 parsec", "m", "inf"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected e\.g\. 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1024**2, "1 MiB"), (5 * 1024**4, "5 TiB")],
)
def test_sizes_are_shown_with_a_prefix(size: int, shown: str) -> None:
    assert format_bytes(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.123, "123 ms"), (2.34, "2.3 s"), (75, "1 min 15 s"), (3660, "1 h 1 min")]
)
def test_durations_are_shown_in_the_unit_that_fits(seconds: float, shown: str) -> None:
    assert format_duration(seconds) == shown


@given(st.integers(min_value=0, max_value=2**50))
def test_a_shown_size_reads_back_within_its_rounding(size: int) -> None:
    assert abs(parse_bytes(format_bytes(size)) - size) <= max(1, size * 0.06)


def test_a_count_has_its_noun_in_the_right_number() -> None:
    assert [format_count(number, "problem") for number in (0, 1, 2)] == [
        "0 problems",
        "1 problem",
        "2 problems",
    ]


@pytest.mark.parametrize("parse", [units.parse_bytes, units.parse_duration])
@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000, "1." + "0" * 5000, "9" * 400 + "Ei"])
def test_numbers_of_many_digits_are_invalid(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"^invalid (size|duration)"):
        parse(text)
