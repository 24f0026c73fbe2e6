from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from localrun.console.streams import LenientStream, is_terminal, prepare, shows_unicode, write
from localrun.errors import LocalrunError


class Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_standard_input_that_the_shell_has_closed_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    prepare()
    assert (sys.stdin.isatty(), sys.stdin.buffer.read()) == (False, b"")


def test_a_closed_pipe_is_not_an_error() -> None:
    assert write(Closed(), "x") is False
    assert write(io.StringIO(), "x") is True


def test_a_stream_without_a_reader_does_not_fail_at_exit() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:  # noqa: PTH123
        assert write(stream, "x" * 100_000) is False
        assert write(stream, "more") is True


def test_a_full_disk_loses_display_output_but_never_a_result(tmp_path: Path) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    forgiving = LenientStream(Full())
    assert forgiving.write("x") == 1
    forgiving.flush()
    assert forgiving.is_closed
    with pytest.raises(LocalrunError, match="cannot write to standard output: No space"):
        write(Full(), "x")


@pytest.mark.parametrize(("term", "clever"), [("xterm", True), ("dumb", False), ("", False), (None, False)])
def test_a_dumb_terminal_gets_plain_lines(term: str | None, clever: bool) -> None:
    environ = {} if term is None else {"TERM": term}
    assert is_terminal(Terminal(), environ) is clever
    assert not is_terminal(io.StringIO(), environ)


@pytest.mark.parametrize(
    ("environ", "unicode"),
    [
        ({"LANG": "C"}, False),
        ({}, False),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, False),
        ({"LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),  # set by Python for the C locale
        ({"LC_CTYPE": "de_DE.UTF-8"}, True),
    ],
)
def test_non_ascii_symbols_are_used_only_where_they_can_be_shown(
    environ: dict[str, str], unicode: bool
) -> None:
    assert shows_unicode(Terminal(), environ) is unicode


def test_unencodable_characters_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(raw, "ascii"))
    prepare()
    assert write(sys.stdout, "h\u00e4\n")
    assert raw.getvalue() == b"h\\xe4\n"
