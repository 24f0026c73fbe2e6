"""The YAML dialect of App Engine, and the refused parts of it."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from localrun.descriptor import yaml as document
from localrun.descriptor.yaml import DocumentError
from tests.support.work import count_calls


def value_of(text: str) -> Any:
    return document.read(text.encode(), "f.yml").root.to_python()


def refusal(data: bytes) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        document.read(data, "f.yml")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("Yes", True),
        ("ON", True),
        ("off", False),
        ("No", False),
        ("Y", "Y"),
        ("n", "n"),
        ("010", 8),
        ("08", "08"),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", "0o17"),
        ("1_000", 1000),
        ("-5", -5),
        ("+5", 5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.5e-3", -0.0015),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("2024-01-01", "2024-01-01"),
        ("12:30:00", "12:30:00"),
        ("1.0.0", "1.0.0"),
        ("~", None),
        ("", None),
        ("null", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("'.inf'", ".inf"),
        ("[]", []),
        ("{a: {b: [1, x]}}", {"a": {"b": [1, "x"]}}),
        ("{yes: 1, 2: b}", {"yes": 1, "2": "b"}),
    ],
)
def test_a_plain_word_means_what_app_engine_makes_of_it(text: str, value: Any) -> None:
    found = value_of(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".nan", ".NaN", "1" * 401, "1e999"])
def test_a_number_that_no_json_has_is_refused(text: str) -> None:
    assert refusal(f"a: {text}".encode()).problem.line == 1


def test_every_value_knows_the_line_and_column_of_its_key() -> None:
    root = document.read(b"a: 1\nb:\n  - x\n  - c: 2\n", "f.yml").root

    inner = root.value["b"].value[1].value["c"]
    assert (root.value["b"].line, root.value["b"].column) == (2, 1)
    assert (inner.value, inner.line, inner.column) == (2, 4, 5)


def test_of_two_equal_keys_the_last_counts_and_a_warning_says_so() -> None:
    found = document.read(b"a: 1\na: 2\n", "f.yml")

    assert found.root.to_python() == {"a": 2}
    assert [str(one) for one in found.warnings] == [
        "f.yml:2:1: duplicate key 'a': the last value is used; remove one of them"
    ]


def test_anchors_aliases_and_merge_keys_are_followed_with_a_warning() -> None:
    found = document.read(b"base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nlist: [*b]\n", "f.yml")

    assert found.root.to_python()["own"] == {"x": 1, "y": 3}
    assert found.root.to_python()["list"] == [{"x": 1, "y": 2}]
    assert len(found.warnings) == 3


def test_several_mappings_can_be_merged_and_the_first_wins() -> None:
    assert value_of("a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n")["c"] == {"x": 1, "y": 2}


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert "values" in refusal("\n".join(lines).encode()).problem.message


def test_aliases_do_not_add_up_to_endless_depth() -> None:
    lines = ["a0: &a0 []"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]

    assert "levels deep" in refusal("\n".join(lines).encode()).problem.message


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"{a: " * 100_000,
        b"- " * 100_000,
        b"&a [*a]",
        b"*nothing",
        b"a: !!python/object/apply:os.system [ls]",
        b"a: !thing 5",
        b"!!set {a}",
        b"!!int abc",
        b"? [a]\n: b",
        b"<<: 5",
        b"a: [",
        b"a: b: c",
        b"\xff\xfe",
        b"a: \x01",
        b"%YAML 9.9\n---\na: 1",
        b"\t- a",
    ],
)
def test_what_is_hostile_or_broken_is_refused_with_its_place(data: bytes) -> None:
    problem = refusal(data).problem

    assert problem.file == "f.yml"
    assert problem.message


def test_a_byte_that_is_not_utf8_is_named_with_line_and_column() -> None:
    assert refusal(b"a: 1\nb: \xe9\n").problem.where == "f.yml:2:4"


def test_a_byte_order_mark_does_not_matter() -> None:
    assert value_of("\ufeffa: 1") == {"a": 1}


def test_an_empty_text_holds_nothing() -> None:
    assert value_of("") is None
    assert value_of("# only a comment\n") is None


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_the_typed_error(data: bytes) -> None:
    with contextlib.suppress(DocumentError):
        assert document.read(data, "f.yml").root.weight > 0


def _is_no_float(text: str) -> bool:
    """Return whether it is unlike `1e5`, which PyYAML does not quote and App Engine reads as a number."""
    return not re.fullmatch(r"[-+]?[0-9_.]+[eE][-+]?[0-9]+", text)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(_is_no_float),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_JSON)
def test_what_yaml_writes_is_read_back(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)

    found = document.read(text.encode(), "f.yml").root.to_python()

    assert found == value or (isinstance(value, float) and math.isclose(found, value))


TEXTS = [
    b"a: 1\nb: [x, 1.5, null, true]\nc:\n  d: {e: f}\n",
    b"",
    b"- 123456789012345678901234567890\n- 'line\xe2\x80\xa8end'\n- {}\n- []\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_noted_of_a_document_gives_it_back_with_every_place(text: bytes) -> None:
    found = document.read(text, "x.yml")
    noted = json.loads(json.dumps(document.serialize(found)))
    assert document.deserialize(noted) == found


def test_a_document_with_a_warning_or_of_great_size_is_not_noted() -> None:
    assert document.serialize(document.read(b"a: 1\na: 2\n", "x.yml")) is None
    assert document.serialize(document.read(b"- 1\n" * 6000, "x.yml")) is None


@pytest.mark.parametrize(
    "facts",
    [None, {}, {"root": None}, {"root": [1, 2]}, {"root": [1, 2, "x", 4, 5]}],
)
def test_facts_that_are_none_are_not_taken_for_a_document(facts: Any) -> None:
    assert document.deserialize(facts) is None


def test_a_document_with_more_values_than_the_limit_is_refused_early() -> None:
    def work(keys: int) -> int:
        def refused() -> None:
            with pytest.raises(DocumentError, match="more than 20000 values"):
                document.read(b"".join(b"k%d: 1\n" % number for number in range(keys)), "descriptor.yml")

        return count_calls(refused)

    assert work(80_000) < 1.5 * work(30_000)
