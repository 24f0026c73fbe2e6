"""Redaction: logs have no secrets, no data breaks a line, and the output is limited."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.masking.redaction import Redactor
from localrun.task.record import Resources


def plain(data: Any, *secrets: str) -> Any:
    return Redactor(secrets).redact(data)


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "userPassword",
        "passwd",
        "token",
        "access_token",
        "api_key",
        "apiKey",
        "X-Api-Key",
        "Authorization",
        "client-secret",
        "AWS_SECRET_ACCESS_KEY",
        "private_key",
        "credentials",
        "Cookie",
        "auth",
    ],
)
def test_the_value_of_a_secret_key_is_hidden(key: str) -> None:
    assert plain({"env": {key: "hunter2"}}) == {"env": {key: "***"}}
    assert plain({key: {"deep": ["hunter2"]}}) == {key: "***"}


@pytest.mark.parametrize("key", ["max_tokens", "tokenizer", "author", "assigned_by", "monkey", "keys"])
def test_an_innocent_key_is_left_alone(key: str) -> None:
    assert plain({key: "value"}) == {key: "value"}


def test_whether_there_is_a_secret_is_no_secret() -> None:
    assert plain({"password": None, "token": "", "has_secret": True}) == {
        "password": None,
        "token": "",
        "has_secret": True,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PASSWORD=hunter2 run", "PASSWORD=*** run"),
        ('{"api_key": "hunter2"}', '{"api_key": "***"}'),
        ("Authorization: Bearer hunter2hunter2", "Authorization: ***"),
        ("sent Bearer hunter2hunter2", "sent Bearer ***"),
        ("https://bob:hunter2@example.org/x", "https://bob:***@example.org/x"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_inside_texts_are_hidden(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_an_environment_as_kubernetes_writes_it_is_hidden() -> None:
    assert plain([{"name": "DB_PASSWORD", "value": "hunter2"}]) == [{"name": "DB_PASSWORD", "value": "***"}]


def test_the_argument_of_a_secret_option_is_hidden() -> None:
    assert plain(["tool", "--password", "hunter2", "-v"]) == ["tool", "--password", "***", "-v"]


def test_a_registered_secret_is_hidden_wherever_it_is() -> None:
    redactor = Redactor(["s3cr3t"])
    redactor.add_secret("an0ther")
    found = redactor.redact({"xs3cr3tx": ["a s3cr3t", {"b": "an0ther"}]})
    assert found == {"x***x": ["a ***", {"b": "***"}]}


def test_a_secret_that_holds_another_one_is_hidden_whole() -> None:
    assert plain("abcdef", "abcd", "abcdef") == "***"


def test_a_very_short_secret_does_not_blank_every_other_word() -> None:
    assert plain("a cat", "a") == "a cat"


def test_what_json_has_no_form_for_is_named_or_translated() -> None:
    class Colour(Enum):
        RED = "red"

    @dataclass
    class Point:
        x: int
        secret: str

    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError("never called")

    found = plain(
        [
            Colour.RED,
            Point(1, "hunter2"),
            Rude(),
            Path("/a"),
            b"abc",
            math.nan,
            -math.inf,
            2**4000,
            datetime(2026, 1, 2, tzinfo=UTC),
            Resources(),
            ValueError("no"),
        ]
    )
    assert found[:2] == ["red", {"x": 1, "secret": "***"}]
    assert found[2].endswith("Rude]")
    assert found[3:8] == ["/a", "[3 bytes]", "nan", "-inf", "[integer of 4001 bits]"]
    assert found[8:] == [
        "2026-01-02T00:00:00+00:00",
        {"cpus": 1.0, "memory": 4 * 1024**3, "gpus": 0},
        "ValueError: no",
    ]


def test_keys_that_are_no_text_become_text() -> None:
    assert plain({1: "a", None: "b", (1, 2): "c"}) == {"1": "a", "None": "b", "[cut]": "c"}


def test_what_holds_itself_comes_to_an_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "[cut]" in json.dumps(plain(loop))


@pytest.mark.parametrize(
    "huge",
    [
        "x" * 10_000_000,
        ["x" * 10_000] * 10_000,
        list(range(1_000_000)),
        {str(n): [n] * 100 for n in range(10_000)},
        [[[["x"] * 100] * 100] * 100] * 100,
    ],
)
def test_huge_data_are_cut_and_say_so(huge: Any) -> None:
    text = json.dumps(plain(huge))
    assert len(text) < 200_000
    assert "cut]" in text


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    max_leaves=20,
)


@given(anything)
def test_whatever_goes_in_json_comes_out(data: Any) -> None:
    text = json.dumps(plain(data), allow_nan=False)
    assert plain(json.loads(text)) == json.loads(text)


telling = st.sampled_from(
    ["password", "a=1", "https://u:p@h/", "Bearer abcdefgh", "--token", "hunter2", "\u017fecret"]
)
simple = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | telling
ordinary = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | telling, inner, max_size=4)
    ),
    max_leaves=20,
)


@given(ordinary | st.builds(lambda depth: json.loads("[" * depth + "]" * depth), st.integers(1, 20)))
def test_what_passes_as_it_is_is_written_as_it_would_be_after_a_closer_look(data: Any) -> None:
    redactor = Redactor(["hunter2", 'a"b\\'])
    if redactor.encode_fast(data) is not None:
        assert redactor.redact(data) == data


@given(ordinary)
def test_what_passes_is_the_same_when_it_is_read_again(data: Any) -> None:
    text = Redactor().encode_fast(data)
    assert text is None or json.loads(text) == data


@pytest.mark.parametrize(
    "data",
    [
        {"password": "x"},
        {"note": "see https://user:word@host/"},
        ["--token", "x"],
        {"name": "DB_PASSWD", "value": 1},
        "hunter2",
        'say a"b\\ again',
        10**100,
        math.nan,
        "x" * 10_000,
        list(range(500)),
        b"bytes",
        {1: "a key that is not a string"},
        {"inside": [{None: 1}]},
    ],
)
def test_what_needs_a_closer_look_does_not_pass(data: Any) -> None:
    assert Redactor(["hunter2", 'a"b\\']).encode_fast(data) is None


def test_an_ordinary_event_passes() -> None:
    event = [None, "create_task", {"task_id": "1", "task_data": {"at": [1, 2.5]}}]
    assert Redactor(["hunter2"]).encode_fast(event) == json.dumps(event)
