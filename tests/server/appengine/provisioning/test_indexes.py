"""Indexes of items in an address."""

from __future__ import annotations

import pytest

from localrun.descriptor.types import Array, Integer
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.provisioning.indexes import is_beyond_size, item_kind, parse_indexes

NESTED = Array(Array(Integer(), max_size=2), max_size=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", ["0"]), ("10", ["10"]), ("0/1/2", ["0", "1", "2"]), ("0/00/01", ["0", "0", "1"])],
)
def test_indexes_are_separated_by_slashes(text: str, expected: list[str]) -> None:
    assert parse_indexes("p", text) == expected


@pytest.mark.parametrize("text", ["", "00", "01/0", "a", "0/", "/0", "-1", "٣"])
def test_other_text_does_not_match_the_pattern(text: str) -> None:
    with pytest.raises(AppEngineError) as caught:
        parse_indexes("p", text)
    assert (caught.value.status_code, caught.value.code) == (400, "APPE-internal-invalid-indexes")


def test_an_index_of_more_than_nine_digits_is_no_number() -> None:
    with pytest.raises(AppEngineError) as caught:
        parse_indexes("p", "1" * 10)
    assert (caught.value.status_code, caught.value.message) == (400, "Invalid bundle format")


def test_an_item_has_the_type_of_its_depth() -> None:
    found = [item_kind(NESTED, indexes) for indexes in (["0"], ["0", "1"], ["0", "1", "2"])]
    assert [one and one.id for one in found] == ["array", "integer", None]


@pytest.mark.parametrize(
    ("indexes", "expected"), [(["3"], False), (["4"], True), (["3", "1"], False), (["0", "2"], True)]
)
def test_each_index_is_less_than_the_maximum_size(indexes: list[str], expected: bool) -> None:
    assert is_beyond_size(NESTED, indexes) is expected
