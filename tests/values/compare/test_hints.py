"""Likely causes of differences between two runs of a program."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from localrun.values.compare.hints import RunSample, likely_causes


def told(*texts: str, offset: int = 0) -> str:
    """What is said of short texts."""
    return "; ".join(likely_causes([RunSample(text, text, text.encode()) for text in texts], offset))


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("made 2026-11-21 by x", "made 2026-11-22 by x", "a date or a time of day"),
        ("at 12:30:01", "at 12:30:02", "a date or a time of day"),
        ('{"t": 1795262400}', '{"t": 1795262401}', "Unix timestamp"),
        ("1795262400.123", "1795262401.5", "Unix timestamp"),
        ("<Cell object at 0x7f3a12bc45d0>", "<Cell object at 0x7f9912bc45d0>", "memory address"),
        (
            "id 1b4e28ba-2fa1-41d2-883f-0016d3cca427",
            "id 6fa459ea-ee8a-4ca4-894e-db77e160355e",
            "a random id",
        ),
        ("read /tmp/tmpab12cd", "read /tmp/tmpzz99yy", "a temporary file"),
        ("b\na\nc\n", "a\nb\nc\n", "the same lines in another order"),
        ('{"a", "b", "c"}', '{"c", "a", "b"}', "the same words in another order"),
        ("mean 0.30000000000000004", "mean 0.3", "last digits"),
    ],
)
def test_what_makes_results_differ_is_guessed(one: str, other: str, words: str) -> None:
    assert words in told(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "dog"),
        ("3", "4"),
        ("made 2026-11-21: cat", "made 2026-11-21: dog"),  # the date is the same
        ("1.5", "2.5"),
        ("", "x"),
    ],
)
def test_nothing_is_said_when_nothing_shows(one: str, other: str) -> None:
    assert told(one, other) == ""


def test_a_host_name_and_a_time_zone_are_known_since_they_were_given() -> None:
    def sample(number: int) -> RunSample:
        varied = {"hostname": f"replica-{number}", "TZ": f"GMT+{number}", "PYTHONHASHSEED": str(number)}
        return RunSample(f"on replica-{number} in GMT+{number}", None, b"", varied)

    assert likely_causes([sample(1), sample(2)], 0) == [
        "it contains the host name",
        "it contains the time zone",
    ]


def test_a_seed_is_no_time_zone_when_the_zone_was_not_varied() -> None:
    glimpses = [
        RunSample(f"x {n}", None, b"", {"hostname": f"h{n}", "PYTHONHASHSEED": str(n)}) for n in (1, 2)
    ]
    assert likely_causes(glimpses, 0) == []


def test_formats_that_keep_times_are_known_by_their_first_bytes() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", "b")
    zipped, gzipped = packed.getvalue(), gzip.compress(b"x")

    def of(head: bytes, offset: int) -> str:
        return "; ".join(likely_causes([RunSample("", None, head)] * 2, offset))

    assert "mtime=0" in of(gzipped, 4)
    assert of(gzipped, 12) == ""
    assert "times and the order of its files" in of(zipped, 10)
    assert "PDF" in of(b"%PDF-1.7", 100)


def test_the_order_of_a_text_that_is_too_long_is_not_judged() -> None:
    assert likely_causes([RunSample("abc", None, b""), RunSample("cab", None, b"")], 0) == []
