"""What travels between the client and the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.batch.cluster.orders import (
    KEY_SIZE,
    SentFile,
    SentFolder,
    Work,
    files_in,
    replace_files,
    seal,
    unseal,
)
from localrun.manager.request import Request
from localrun.values.parsing import FileValue

KEY = bytes(KEY_SIZE)
WORK = Work(Request(Path("bundle"), values={"password": "hunter2"}, secrets={"TOKEN": "s3cret"}))


def test_a_sealed_order_shows_no_inputs_and_no_secrets() -> None:
    sealed = seal(KEY, WORK)
    assert not any(text in sealed for text in (b"hunter2", b"s3cret", b"password"))
    assert unseal(KEY, sealed) == WORK
    assert seal(KEY, WORK) != sealed


@pytest.mark.parametrize("at", [0, 20, -1])
def test_an_order_that_was_changed_on_its_way_is_refused(at: int) -> None:
    sealed = bytearray(seal(KEY, WORK))
    sealed[at] ^= 1
    with pytest.raises(ValueError, match="MAC"):
        unseal(KEY, bytes(sealed))


def test_files_are_found_in_every_form_of_a_value() -> None:
    def send(path: object) -> object:
        return SentFile(str(path), 1, f"digest of {path}")

    values = {"a": Path("/a"), "b": FileValue(Path("/b")), "c": [{"file": Path("/c"), "region": 1}, "text"]}
    sent = replace_files(values, send)
    assert sorted(each.path for each in files_in(sent)) == ["/a", "/b", "/c"]
    assert replace_files(sent, lambda one: Path(one.path)) == values
    folder = SentFolder("/d", {"x/y": SentFile("/d/x/y", 1, "1")}, "2")
    assert [each.path for each in files_in([folder])] == ["/d/x/y"]
