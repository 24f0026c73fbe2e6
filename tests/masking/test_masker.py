from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.masking.masker import SecretMasker


def streamed(masker: SecretMasker, *pieces: bytes) -> bytes:
    return b"".join(data for _, data in masker.mask_stream(("stdout", piece) for piece in pieces))


def test_a_secret_is_hidden_in_a_text_and_that_is_noted() -> None:
    masker = SecretMasker(["s3cret"])
    assert (masker.mask_text("no such word"), masker.has_masked) == ("no such word", False)
    assert (masker.mask_text("it is s3cret!"), masker.has_masked) == ("it is ***!", True)


def test_the_longest_secret_is_hidden_first() -> None:
    assert SecretMasker(["pass", "password"]).mask_text("password") == "***"


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_secret_that_comes_in_two_pieces_is_hidden(cut: int) -> None:
    data = b"abc s3cret de"
    assert streamed(SecretMasker(["s3cret"]), data[:cut], data[cut:]) == b"abc *** de"


@given(
    st.lists(st.text("ab\u00e4", max_size=5), max_size=8),
    st.lists(st.text("ab\u00e4", min_size=4, max_size=7)),
)
def test_however_it_is_cut_no_secret_is_left(pieces: list[str], secrets: list[str]) -> None:
    found = streamed(SecretMasker(secrets), *(piece.encode() for piece in pieces)).decode()
    assert [secret for secret in secrets if secret in found] == []


@pytest.mark.parametrize("cut", range(9))
def test_no_part_of_the_longer_of_two_secrets_is_left(cut: int) -> None:
    data = b"password"
    assert streamed(SecretMasker(["pass", "password"]), data[:cut], data[cut:]) == b"***"


@pytest.mark.parametrize("cut", range(10))
def test_two_secrets_that_overlap_leave_nothing_readable(cut: int) -> None:
    data = b"xabcdefx"
    found = streamed(SecretMasker(["abcd", "cdef"]), data[:cut], data[cut:])
    assert found in (b"x***efx", b"xab***x")  # one of them is hidden, and the other is torn


def test_what_is_no_beginning_of_a_secret_is_not_held_back() -> None:
    pieces = [("stdout", b"a line\n"), ("stdout", b"is s3cr"), ("stderr", b"other"), ("stdout", b"eam\n")]
    assert list(SecretMasker(["s3cret"]).mask_stream(pieces)) == [
        ("stdout", b"a line\n"),
        ("stdout", b"is "),
        ("stderr", b"other"),
        ("stdout", b"s3cream\n"),
    ]


def test_without_secrets_nothing_changes() -> None:
    masker = SecretMasker([])
    assert not masker
    assert streamed(masker, b"a", b"b") == b"ab"


def test_a_secret_too_short_to_be_told_from_other_words_is_not_looked_for() -> None:
    assert SecretMasker(["abc"]).mask_text("abcd") == "abcd"


def test_plain_values_are_searched_to_their_depth() -> None:
    data = {"a": ["x s3cret", 1, None], "s3cret": {"b": "s3cret"}}
    assert SecretMasker(["s3cret"]).mask_json(data) == {"a": ["x ***", 1, None], "***": {"b": "***"}}


@given(
    st.text(alphabet="abc", max_size=40),
    st.lists(st.text(alphabet="abc", min_size=4, max_size=6), max_size=3),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_masking_part_by_part_gives_the_same_as_masking_the_whole(
    text: str, secrets: list[str], cuts: list[int]
) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    chunks = [("stdout", data[start:end]) for start, end in itertools.pairwise(edges)]
    masked = b"".join(part for _, part in SecretMasker(secrets).mask_stream(chunks))
    assert masked == SecretMasker(secrets).mask(data)
