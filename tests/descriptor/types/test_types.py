"""Validation and text form of each type."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.descriptor.divergences import PREFIX
from localrun.descriptor.types import (
    TYPES,
    Array,
    Boolean,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Integer,
    Notes,
    Number,
    String,
    format_value,
    memory,
)
from localrun.descriptor.types.datetime import parse_instant
from localrun.descriptor.types.numeric import is_java_number


def accept(kind: DataType, value: Any) -> tuple[Any, Notes]:
    notes = Notes("x")
    return kind.validate(value, notes), notes


def parse(kind: DataType, text: str) -> tuple[Any, Notes]:
    notes = Notes("x")
    return kind.parse(text, notes), notes


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Boolean(), True),
        (Integer(), 2**31 - 1),
        (Integer(), -(2**31)),
        (Integer(gt=1, lt=3), 2),
        (Integer(geq=2, leq=2), 2),
        (Number(), 5),
        (Number(), -5.5),
        (Number(), "1e5"),
        (Number(), "0x1p3"),
        (Number(nan_allowed=True), "NaN"),
        (Number(nan_allowed=True, gt=5), math.nan),
        (Number(infinity_allowed=True), "-INF"),
        (Number(infinity_allowed=True), math.inf),
        (String(), ""),
        (String(min_length=2, max_length=2), "\U0001f52c"),
        (Enumeration(("a", "b")), "b"),
        (DateTime(), "2024-02-23T18:00:00Z"),
        (DateTime(), "2024-02-23t18:00:00.123456789+01:00"),
        (DateTime(), "2024-02-23T24:00:00Z"),
        (DateTime(before="2024-01-01T00:00:00Z"), "2024-01-01T01:00:00+01:00"),
        (DateTime(after="2024-01-01T00:00:00Z"), "2024-01-01T00:00:00Z"),
        (Geometry(), '{ "type": "Point", "coordinates": [1, 2] }'),
        (Array(Integer()), []),
        (Array(Array(Boolean())), [[True], []]),
        (Array(Integer(), min_size=1, max_size=2), [1, 2]),
    ],
)
def test_a_value_that_fits_is_taken_as_it_is(kind: DataType, value: Any) -> None:
    found, notes = accept(kind, value)

    assert found == value or math.isnan(found)
    assert (notes.problems, notes.warnings) == ([], [])


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Boolean(), 1, "expected a boolean, got 1 (integer)"),
        (Boolean(), "true", "expected a boolean, got 'true' (string)"),
        (Integer(), True, "expected an integer, got true (boolean)"),
        (Integer(), "3", "expected an integer, got '3' (string)"),
        (Integer(), 3.5, "expected an integer, got 3.5 (number)"),
        (Integer(), None, "expected an integer, got null"),
        (Integer(), 2**31, "2147483648 is out of range"),
        (Integer(), -(10**4000), "<13288-bit integer> is out of range"),
        (Integer(gt=3), 3, "3 is not greater than 3"),
        (Integer(geq=3), 2, "2 is less than 3"),
        (Integer(lt=3), 3, "3 is not less than 3"),
        (Integer(leq=3), 4, "4 is greater than 3"),
        (Number(), True, "expected a number, got true (boolean)"),
        (Number(), [], "expected a number, got [] (list)"),
        (Number(), "abc", "invalid number 'abc'"),
        (Number(), "+inf", "invalid number '+inf'"),
        (Number(), "infinity", "invalid number 'infinity'"),
        (Number(), "1_0.5", "invalid number '1_0.5'"),
        (Number(), 10**400, "<1329-bit integer> is out of range"),
        (Number(), math.nan, "nan is not allowed"),
        (Number(), "inf", "infinity is not allowed"),
        (Number(infinity_allowed=True, lt=5), math.inf, "inf is not less than 5"),
        (Number(leq=1), 1.4, "1.4 is greater than 1"),
        (String(), 5, "expected a string, got 5 (integer)"),
        (String(), "\ud800", "lone surrogate in '\\ud800'"),
        (String(min_length=2), "a", "'a' has 1 character, expected at least 2"),
        (String(max_length=1), "\U0001f52c", "'\U0001f52c' has 2 characters, expected at most 1"),
        (Enumeration(("low", "high")), "hgih", "invalid value 'hgih', expected one of: low, high"),
        (Enumeration(("yes",)), True, "expected a string, got true (boolean)"),
        (DateTime(), 5, "expected a datetime, got 5 (integer)"),
        (DateTime(), "2024-02-23", "invalid datetime '2024-02-23'"),
        (DateTime(), "2024-02-23T18:00:00", "invalid datetime '2024-02-23T18:00:00'"),
        (DateTime(), "2024-02-30T18:00:00Z", "invalid datetime '2024-02-30T18:00:00Z'"),
        (DateTime(), "2024-02-23T18:60:00Z", "invalid datetime '2024-02-23T18:60:00Z'"),
        (DateTime(), "2024-02-23T18:00:00+19:00", "invalid datetime '2024-02-23T18:00:00+19:00'"),
        (
            DateTime(before="2024-01-01T00:00:00Z"),
            "2024-01-01T00:00:01Z",
            "2024-01-01T00:00:01Z is later than 2024-01-01T00:00:00Z",
        ),
        (
            DateTime(after="2024-01-01T00:00:00Z"),
            "2023-12-31T23:59:59.9Z",
            "2023-12-31T23:59:59.9Z is earlier than 2024-01-01T00:00:00Z",
        ),
        (Geometry(), " ", "must not be blank"),
        (Geometry(), [1], "expected a geometry, got [1] (list)"),
        (File(), 5, "expected a file, got 5 (integer)"),
        (Image(), {}, "expected a file, got {} (object)"),
        (Array(Integer()), 5, "expected a list, got 5 (integer)"),
        (Array(Integer()), "12", "expected a list, got '12' (string)"),
        (Array(Integer(), min_size=2), [1], "has 1 item, expected at least 2"),
        (Array(Integer(), max_size=1), [1, 2], "has 2 items, expected at most 1"),
        (Array(Integer()), [{"index": 1, "value": 5}], "invalid indexes [1]"),
        (Array(Integer()), [{"index": 0, "value": 5}] * 2, "invalid indexes [0, 0]"),
        (Array(Integer()), [{"index": True, "value": 5}], "invalid indexes [True]"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_what_it_is(
    kind: DataType, value: Any, message: str
) -> None:
    _, notes = accept(kind, value)

    assert [problem.message for problem in notes.problems] == [message]
    assert notes.problems[0].path == "x"
    assert notes.problems[0].remedy


def test_every_broken_bound_is_told() -> None:
    _, notes = accept(Integer(gt=5, geq=4, lt=1), 3)

    assert len(notes.problems) == 3


def test_every_bad_item_of_a_nested_array_is_told_with_its_place() -> None:
    _, notes = accept(Array(Array(Integer())), [[1, "a"], 5, [True]])

    assert [problem.path for problem in notes.problems] == ["x.0.1", "x.1", "x.2.0"]


def test_an_integer_with_a_decimal_point_is_taken_with_a_warning() -> None:
    found, notes = accept(Integer(), 3.0)

    assert found == 3
    assert notes.problems == []
    assert notes.warnings[0].startswith(PREFIX)


def test_app_engines_own_form_of_an_array_is_taken() -> None:
    value = [{"index": 1, "value": 20}, {"index": 0, "value": 10}]

    assert accept(Array(Integer()), value)[0] == [10, 20]


def test_a_python_datetime_with_a_zone_is_a_datetime() -> None:
    assert accept(DateTime(), datetime(2024, 2, 23, 18, tzinfo=UTC))[0] == "2024-02-23T18:00:00Z"
    assert accept(DateTime(), datetime(2024, 2, 23, 18))[1].problems != []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Boolean(), "true", True),
        (Boolean(), "FALSE", False),
        (Integer(), "+5", 5),
        (Integer(), "007", 7),
        (Integer(), "-12", -12),
        (Number(), "5", 5),
        (Number(), ".5", 0.5),
        (Number(), "5.", 5.0),
        (Number(), "1d", 1.0),
        (Number(), "1.5F", 1.5),
        (Number(), "0x1p3", 8.0),
        (Number(), "0x1.8p1f", 3.0),
        (Number(infinity_allowed=True), "1e999", math.inf),
        (Number(infinity_allowed=True), "-0x1p99999", -math.inf),
        (Number(infinity_allowed=True), "+Infinity", math.inf),
        (String(), "a b", "a b"),
        (Geometry(), '{"type":"Point","coordinates":[1,2]}', '{"type":"Point","coordinates":[1,2]}'),
    ],
)
def test_text_is_read_as_app_engine_reads_it(kind: DataType, text: str, value: Any) -> None:
    found, notes = parse(kind, text)

    assert found == value
    assert type(found) is type(value)
    assert (notes.problems, notes.warnings) == ([], [])


@pytest.mark.parametrize(("text", "value"), [("0b101", 5), ("0o17", 15), ("-0x1F", -31), ("1_000", 1000)])
def test_a_documented_spelling_of_an_integer_is_read_with_a_warning(text: str, value: int) -> None:
    found, notes = parse(Integer(), text)

    assert found == value
    assert notes.warnings[0].startswith("App Engine would refuse this: ")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Boolean(), "yes"),
        (Boolean(), "1"),
        (Integer(), "1.0"),
        (Integer(), "1e3"),
        (Integer(), ""),
        (Integer(), "1__0"),
        (Integer(), "\u0661"),
        (Integer(), "9" * 5000),
        (Integer(), "2147483648"),
        (Number(), "+inf"),
        (Number(), "one"),
        (Number(), "\u0661"),
        (Number(), "0x10"),
        (Number(), "nan"),
        (Enumeration(("a",)), "A"),
        (DateTime(), "now"),
        (File(), "scan.png"),
    ],
)
def test_text_that_does_not_fit_is_refused(kind: DataType, text: str) -> None:
    assert parse(kind, text)[1].problems != []


def test_a_wrong_boolean_says_what_app_engine_would_make_of_it() -> None:
    assert "would read it as false" in parse(Boolean(), "yes")[1].problems[0].message


def test_a_file_named_without_at_gets_the_right_advice() -> None:
    assert parse(Image(), "scan.png")[1].problems[0].remedy == "pass a file path with @, e.g. @scan.png"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (-5.5, "-5.5"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (1e10, "1.0E10"),
        (-1.25e-5, "-1.25E-5"),
        (0.001, "0.001"),
        (0.0005, "5.0E-4"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (5e-324, "5.0E-324"),
        (123456789.5, "1.234567895E8"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("NaN", "NaN"),
    ],
)
def test_a_number_is_written_as_app_engine_writes_it(value: Any, text: str) -> None:
    assert Number().to_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_survives_being_written(value: float) -> None:
    text = Number().to_text(value)

    assert parse(Number(), text)[0] == value
    assert parse(Number(), text)[1].problems == []


@given(st.text(max_size=30))
def test_random_text_never_surprises_a_type(text: str) -> None:
    for kind in TYPES.values():
        if kind is not Array:
            notes = Notes("x")
            found = kind().parse(text, notes)
            assert notes.problems or found is not None


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers())
    | st.binary()
)
def test_random_values_never_surprise_a_type(value: Any) -> None:
    for kind in TYPES.values():
        notes = Notes("x")
        found = kind().validate(value, notes)
        assert notes.problems or found is not None


@pytest.mark.parametrize(
    ("value", "ready"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (1, 1)]
)
def test_what_json_cannot_hold_is_text(value: float, ready: Any) -> None:
    assert Number().to_json(value) == ready
    assert Array(Number()).to_json([value]) == [ready]


def test_the_spellings_that_arrays_of_app_engine_know_are_told_apart() -> None:
    assert [is_java_number(text) for text in ("NaN", "-Infinity", "1.5", "nan", "INF", "-inf")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_geometries_are_written_verbatim_or_without_blanks() -> None:
    assert Geometry().to_text('{ "type": "Point" }') == '{ "type": "Point" }'
    assert (
        Geometry().to_text({"type": "Point", "coordinates": [1, 2]}) == '{"type":"Point","coordinates":[1,2]}'
    )


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2Gi", 2 * 1024**3),
        ("1.5Gi", 3 * 2**29),
        ("200Mi", 200 * 1024**2),
        ("1024k", 1_024_000),
        ("2 G", 2_000_000_000),
        ("10MB", 10_000_000),
        ("100 MiB", 100 * 1024**2),
        ("1Mb", 125_000),
        ("100B", 100),
        ("9b", 2),
        ("10", 10),
        ("1.0005k", 1001),
        ("1Yi", 1024**8),
        ("1Q", 10**30),
    ],
)
def test_an_amount_of_memory_is_read_and_rounded_up(text: str, amount: int) -> None:
    found = memory.parse(text)

    assert found is not None
    assert found.bytes == amount


@pytest.mark.parametrize("text", ["", "Gi", "2gi", "-2Gi", "01Gi", "2,5Gi", "1e3Mi", "9" * 70 + "Gi", "2K"])
def test_what_is_no_amount_of_memory_is_none(text: str) -> None:
    assert memory.parse(text) is None


def test_moments_are_compared_across_zones_to_the_nanosecond() -> None:
    early = parse_instant("2024-01-01T00:00:00.000000001Z")
    late = parse_instant("2024-01-01T01:00:00.000000002+01:00")

    assert early is not None
    assert late is not None
    assert early < late
    assert parse_instant("2024-01-01T24:00:00Z") == parse_instant("2024-01-02T00:00:00Z")


def test_a_file_is_measured_and_its_kind_looked_at() -> None:
    notes = Notes("x")
    File(max_file_size=3).check_size(4, notes)
    File(formats=("text",)).check_head(b"a\0b", notes)
    File(formats=("text", "binary")).check_head(b"a\0b", notes)
    Image(max_file_size=3).check_size(3, notes)

    assert [problem.message for problem in notes.problems] == [
        "has 4 bytes, expected at most 3",
        "contains binary data, expected text",
    ]


def test_a_long_value_is_shown_short() -> None:
    assert format_value("a" * 1000) == repr("a" * 60) + "... (1000 characters)"
    assert len(format_value(list(range(1000)))) < 60
    assert format_value("line\nbreak\x1b[31m") == repr("line\nbreak\x1b[31m")
