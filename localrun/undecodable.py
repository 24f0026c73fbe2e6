"""Text with bytes that are not UTF-8, such as file names in Latin-1.

Python represents each such byte of a path or an argument by one surrogate (PEP 383). UTF-8 cannot encode a
surrogate, and not every JSON parser accepts its escape `\\udce9`. Records keep the escape, so that a file can
be opened again. What is shown or sent has the four characters `\\xe9` instead.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

_SURROGATE = re.compile("[\ud800-\udfff]")  # also half of a pair, from a JSON escape
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")


def is_text(text: str) -> bool:
    """Return whether UTF-8 can encode a string."""
    return text.isascii() or _SURROGATE.search(text) is None


def escape(text: str) -> str:
    """Return a string with every undecodable byte replaced by its escape, such as `\\xe9`."""
    return text if is_text(text) else _SURROGATE.sub(_escape, text)


def quote(name: str) -> str:
    """Return the `repr` of a file name, in which every undecodable byte is escaped as one byte."""
    return repr(name) if is_text(name) else repr(os.fsencode(name)).removeprefix("b")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def escape_all(value: Any) -> Any:
    """Return plain JSON values with `escape` applied to every string."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {escape(key): escape_all(item) for key, item in value.items()}
    return [escape_all(item) for item in value] if isinstance(value, list | tuple) else value


def encode_json(value: Any) -> bytes:
    """Return a value as JSON in UTF-8, with escaped undecodable bytes."""
    import msgspec  # not needed to print help

    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        return msgspec.json.encode(escape_all(msgspec.to_builtins(value, enc_hook=str)))


def encode_record(value: Any) -> bytes:
    """Return a value as JSON that `decode_record` reads unchanged, including undecodable bytes."""
    import msgspec

    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value, enc_hook=str)).encode()


def decode_record(decoder: msgspec.json.Decoder[Any], text: bytes) -> Any:
    """Decode the output of `encode_record`. Raises `ValueError` if it is invalid."""
    import msgspec

    try:
        return decoder.decode(text)
    except msgspec.DecodeError:
        if not _ESCAPED.search(text):
            raise
    return msgspec.convert(json.loads(text), decoder.type)
