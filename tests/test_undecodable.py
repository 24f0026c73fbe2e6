from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from localrun.console.streams import format_json
from localrun.undecodable import decode_record, encode_json, encode_record, escape, escape_all, is_text, quote


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain", "plain"),
        ("é 😀", "é 😀"),
        ("t\udce9", "t\\xe9"),
        ("\udc80\udcff", "\\x80\\xff"),
        ("\ud83d", "\\ud83d"),
        ("\\udce9", "\\udce9"),
    ],
)
def test_undecodable_bytes_are_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped
    assert is_text(text) is (text == escaped)
    assert escape_all({text: [text, 1, None]}) == {escaped: [escaped, 1, None]}


@pytest.mark.parametrize("text", ["plain", "é 😀", "t\udce9", "\\udce9", "\ud83d", 'quote " \udce9'])
def test_a_record_keeps_every_byte(text: str) -> None:
    class Value(msgspec.Struct):
        names: dict[str, tuple[str, int]]

    encoded = encode_record(Value({text: (text, 1)}))
    assert decode_record(msgspec.json.Decoder(Value), encoded) == Value({text: (text, 1)})


@pytest.mark.parametrize("text", [b'{"a": "\\udce9"}', b"{", b'"\xe9"', b'"\\udce9'])
def test_an_invalid_record_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_record(msgspec.json.Decoder(list[int]), text)


@pytest.mark.parametrize("value", [{"a": "t\udce9", "b": "\\udce9"}, ["é", "😀"], {"\udce9": None}])
def test_json_is_accepted_by_strict_parsers(value: Any) -> None:
    expected = escape_all(value)
    assert msgspec.json.decode(encode_json(value)) == expected
    line = format_json(value)
    assert line.isascii()
    assert msgspec.json.decode(line) == json.loads(line) == expected


def test_a_quoted_name_shows_every_byte_that_is_not_utf_8() -> None:
    assert quote("é\n") == "'é\\n'"
    assert quote("real\udce9") == r"'real\xe9'"
