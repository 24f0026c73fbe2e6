"""Outputs are read by the rules of inputs, from an untrusted folder."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localrun import values
from localrun.values import CollectedOutputs
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, png

ARRAY = {"id": "array", "subtype": "integer"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def collect(folder: Path, **outputs: Any) -> CollectedOutputs:
    return values.collect(make(None, outputs), folder)


def told(found: CollectedOutputs) -> list[str]:
    return [str(problem) for problem in found.problems]


def write_array(folder: Path, *items: str, size: int | None = None) -> None:
    folder.mkdir()
    (folder / "array.yml").write_text(f"size: {len(items) if size is None else size}\n")
    for index, item in enumerate(items):
        (folder / str(index)).write_text(item)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "\n 42 \n", 42),
        ("boolean", "True\n", True),
        ("number", "1e5", 100000.0),
        ({"id": "number", "nan_allowed": True}, "NaN", "nan"),
        ({"id": "number", "infinity_allowed": True}, "-inf", "-inf"),
        ("string", "  two words\t\n", "two words"),
        ({"id": "enumeration", "values": ["low"]}, "low\n", "low"),
        ("datetime", "2024-02-23T18:00:00+01:00\n", "2024-02-23T18:00:00+01:00"),
    ],
)
def test_a_value_is_read_and_blanks_around_it_do_not_matter(
    out: Path, kind: Any, text: str, value: Any
) -> None:
    (out / "o").write_text(text)

    assert collect(out, o=kind) == CollectedOutputs({"o": value})


@pytest.mark.parametrize("kind", ["file", "image", "geometry"])
def test_a_file_output_is_its_path(out: Path, kind: str) -> None:
    point = b'{"type": "Point", "coordinates": [1, 2]}\n'
    (out / "o").write_bytes({"file": b"content", "image": png(), "geometry": point}[kind])

    assert collect(out, o=kind) == CollectedOutputs({"o": str(out / "o")})


def test_arrays_are_read_in_the_order_of_their_indexes(out: Path) -> None:
    write_array(out / "o", *[str(number) for number in range(12)])

    assert collect(out, o=ARRAY) == CollectedOutputs({"o": list(range(12))})


def test_nested_arrays_and_arrays_of_files_are_read(out: Path) -> None:
    write_array(out / "m", size=2)
    write_array(out / "m/0", "true")
    write_array(out / "m/1")
    write_array(out / "fs", "a")
    bounded = {"id": "array", "subtype": "boolean", "min_size": 0, "max_size": 5}

    found = collect(out, m={"id": "array", "subtype": bounded}, fs={"id": "array", "subtype": "file"})

    assert found.outputs == {"m": [[True], []], "fs": [str(out / "fs/0")]}
    assert found.problems == ()


def test_a_file_of_an_array_is_looked_up_and_opened_once(out: Path) -> None:
    write_array(out / "a", *"x" * 100)
    kind = {"id": "array", "subtype": {"id": "file"}}
    with patch("os.stat", wraps=os.stat) as stat, patch("os.open", wraps=os.open) as opened:
        found = collect(out, a=kind)
    assert len(found.outputs["a"]) == 100
    assert (stat.call_count, opened.call_count) < (110, 110)


def test_everything_that_is_wrong_is_told_with_what_was_found(out: Path) -> None:
    (out / "typed").write_text("3.7")
    (out / "range").write_text("11")
    (out / "blank").write_text(" \n")
    (out / "empty").write_text("")
    (out / "bytes").write_bytes(b"\xff\xfe\x00")
    (out / "directory").mkdir()
    (out / "named.csv").write_text("x")
    write_array(out / "sized", "1", size=3)
    (out / "extra").write_text("x")

    found = collect(
        out,
        typed="integer",
        range={"id": "integer", "lt": 10},
        blank="string",
        empty="number",
        bytes="string",
        directory="boolean",
        named="file",
        sized=ARRAY,
        gone="integer",
    )

    assert told(found) == [
        "outputs.typed: invalid integer '3.7'; expected e.g. 42",
        "outputs.range: 11 is not less than 10; use a value less than 10",
        "outputs.blank: blank file; write the string to it",
        "outputs.empty: empty file; write the number to it",
        "outputs.bytes: expected UTF-8 text, got b'\\xff\\xfe\\x00'; write the string as UTF-8",
        "outputs.directory: expected a file, got a folder; write a regular file",
        "outputs.named: missing output (found 'named.csv'); name it 'named', without an extension",
        "outputs.sized.array.yml: size is 3, but the folder has 1 item; write 'size: 1' to array.yml",
        "outputs.gone: missing output; write 'gone' to the output folder",
    ]
    assert found.outputs == {}
    servers = "App Engine's local mode ignores it, its cluster mode refuses it"
    assert found.warnings == (
        f"outputs: undeclared output 'extra'; {servers}",
        f"outputs: undeclared output 'named.csv'; {servers}",
    )


def test_fit_outputs_are_given_although_others_are_unfit(out: Path) -> None:
    (out / "good").write_text("1")
    (out / "bad").write_text("x")

    found = collect(out, good="integer", bad="integer")

    assert found.outputs == {"good": 1}
    assert len(found.problems) == 1


def test_a_missing_optional_output_is_a_warning(out: Path) -> None:
    found = collect(out, o=parameter("integer", optional=True))

    assert found.problems == ()
    assert found.warnings[0].startswith("App Engine would refuse this: outputs.o: ")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: (folder / "array.yml").unlink(), "outputs.o: missing array.yml"),
        (lambda folder: (folder / "array.yml").write_text(""), "outputs.o.array.yml: missing 'size'"),
        (lambda folder: (folder / "array.yml").write_text("size: [["), "outputs.o.array.yml: missing 'size'"),
        (
            lambda folder: (folder / "array.yml").write_text("size: yes"),
            "outputs.o.array.yml: missing 'size'",
        ),
        (lambda folder: (folder / "0").rename(folder / "2"), "outputs.o.0: missing item"),
        (lambda folder: (folder / "1").write_text("x"), "outputs.o.1: invalid integer 'x'"),
        (lambda folder: (folder / "01").write_text("1"), "outputs.o: invalid item name '01'"),
    ],
)
def test_an_array_that_is_put_together_wrongly_is_refused(out: Path, prepare: Any, message: str) -> None:
    write_array(out / "o", "1", "2")
    prepare(out / "o")

    assert [problem.startswith(message) for problem in told(collect(out, o=ARRAY))] == [True]


def test_an_array_of_the_wrong_size_is_refused(out: Path) -> None:
    write_array(out / "o", "1")

    assert told(collect(out, o={**ARRAY, "min_size": 2})) == [
        "outputs.o: has 1 item, expected at least 2; add items"
    ]


def test_an_array_that_is_a_file_is_refused(out: Path) -> None:
    (out / "o").write_text("[1, 2]")

    assert told(collect(out, o=ARRAY)) == [
        "outputs.o: expected a folder with the items, got a file; write a folder"
    ]


def test_what_app_engine_cannot_read_in_arrays_is_a_warning(out: Path) -> None:
    write_array(out / "o", "nan", "NaN", "0.5")
    (out / "o/notes.txt").write_text("x")

    found = collect(out, o={"id": "array", "subtype": {"id": "number", "nan_allowed": True}})

    assert found.outputs == {"o": ["nan", "nan", 0.5]}
    assert [warning.split(": ")[1] for warning in found.warnings] == ["outputs.o.'notes.txt'", "outputs.o.0"]


def test_links_inside_the_folder_are_followed_as_the_container_would(out: Path) -> None:
    (out / "deep/er").mkdir(parents=True)
    (out / "deep/er/value").write_text("7")
    (out / "a").symlink_to("deep/er/value")
    (out / "b").symlink_to("/outputs/deep/er/../er/value")
    (out / "c").symlink_to("b")
    (out / "d").symlink_to("deep/er/value")

    found = collect(out, a="integer", b="integer", c="integer", d="file")

    assert found.outputs == {"a": 7, "b": 7, "c": 7, "d": str(out / "deep/er/value")}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/etc/passwd", "leaves the output folder"),
        ("../secret", "leaves the output folder"),
        ("../out/value", "leaves the output folder"),
        ("/outputs/../etc/passwd", "leaves the output folder"),
        ("/outputsx/value", "leaves the output folder"),
        ("up/secret", "leaves the output folder"),
        ("o", "circular link"),
        ("nothing", "broken link"),
        (".", "got a folder"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "string", "image", "geometry"])
def test_a_link_that_leads_elsewhere_is_refused(
    out: Path, tmp_path: Path, target: str, message: str, kind: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    (out / "value").write_text("v")
    (out / "up").symlink_to("..")
    (out / "o").symlink_to(target)
    expected = {"image": "contains the link"}.get(kind, message) if target == "." else message

    found = collect(out, o=kind)

    assert len(found.problems) == 1
    assert expected in found.problems[0].message
    assert found.outputs == {}


def test_pipes_sockets_and_devices_are_named_and_not_opened(out: Path) -> None:
    os.mkfifo(out / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(out / "sock"))
    server.close()
    (out / "pipelink").symlink_to("pipe")

    found = collect(out, pipe="integer", sock="file", pipelink="image")

    assert [problem.message.split(", ")[1] for problem in found.problems] == [
        "got a pipe",
        "got a socket",
        "got a pipe",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_named_and_not_opened(out: Path) -> None:
    os.mknod(out / "o", 0o20644, os.makedev(1, 5))  # /dev/zero, which never ends

    assert "got a device" in told(collect(out, o="string"))[0]


def test_items_of_an_array_are_trusted_no_more(out: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1")
    write_array(out / "o", "1")
    (out / "o/1").symlink_to("../../secret")
    os.mkfifo(out / "o/2")
    (out / "o/array.yml").unlink()
    (out / "o/array.yml").symlink_to("/etc/passwd")

    found = collect(out, o=ARRAY)

    assert found.outputs == {}
    assert "leaves the output folder" in told(found)[0]


def test_a_folder_of_an_image_is_looked_through(out: Path) -> None:
    (out / "good/level").mkdir(parents=True)
    (out / "good/level/a.dcm").write_bytes(dicom())
    (out / "bad").mkdir()
    (out / "bad/a.dcm").symlink_to("/etc/passwd")

    found = collect(out, good="image", bad="image")

    assert found.outputs == {"good": str(out / "good")}
    assert "contains the link 'a.dcm'" in told(found)[0]


def test_an_integer_of_ten_gibibytes_is_not_read(out: Path) -> None:
    with (out / "o").open("wb") as stream:
        stream.truncate(10 * 1024**3)

    assert told(collect(out, o="integer")) == [
        "outputs.o: has 10737418240 bytes, too many for one integer; write only the value"
    ]


def test_files_of_any_size_are_no_trouble(out: Path) -> None:
    with (out / "o").open("wb") as stream:
        stream.truncate(10 * 1024**3)

    assert collect(out, o="file").problems == ()
    assert "at most 1000" in told(collect(out, o={"id": "file", "max_file_size": "1kB"}))[0]


def test_a_file_of_the_wrong_kind_is_refused(out: Path) -> None:
    (out / "o").write_bytes(b"a\0b")

    assert "binary" in told(collect(out, o={"id": "file", "formats": ["text"]}))[0]


def test_a_tree_without_end_is_refused_at_a_depth(out: Path) -> None:
    out.joinpath(*["d"] * 200).mkdir(parents=True)

    assert "deeper" in told(collect(out, d="image"))[0]


def test_hostile_names_are_told_in_plain_letters(out: Path) -> None:
    raw = os.fsencode(out)
    for name in (b"\xff\xfe", b"\x1b[31mred", b"new\nline"):
        with open(raw + b"/" + name, "wb"):  # noqa: PTH123 - Path has no bytes
            pass

    found = collect(out)

    assert all(warning.isprintable() for warning in found.warnings)
    assert len(found.warnings) == 3


def test_many_extra_files_are_counted_not_listed(out: Path) -> None:
    for number in range(100):
        (out / f"f{number}").touch()

    found = collect(out)

    assert len(found.warnings) == 21
    assert found.warnings[-1] == "outputs: 80 more undeclared outputs"


def test_an_output_folder_that_is_gone_or_a_link_is_a_problem(out: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(out)

    assert "No such file" in told(collect(tmp_path / "none", o="integer"))[0]
    assert "cannot read the output folder" in told(collect(tmp_path / "link", o="integer"))[0]


def test_no_file_stays_open(out: Path) -> None:
    write_array(out / "o", "1", "2")
    (out / "bad").symlink_to("/etc")
    before = len(list(Path("/proc/self/fd").iterdir()))

    collect(out, o=ARRAY, bad="integer", gone="file")

    assert len(list(Path("/proc/self/fd").iterdir())) <= before


_PLAIN = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**18), 10**18),
    "string": st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1),
}


def _typed() -> st.SearchStrategy[tuple[Any, Any]]:
    """A type and a value of it."""
    plain = st.one_of([st.tuples(st.just(kind), strategy) for kind, strategy in _PLAIN.items()])
    return plain | st.one_of(
        [
            st.tuples(st.just({"id": "array", "subtype": kind}), st.lists(strategy, max_size=4))
            for kind, strategy in _PLAIN.items()
        ]
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_typed(), min_size=1, max_size=4))
def test_a_value_that_is_written_and_read_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, typed: list[tuple[Any, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("trip") / "x"
    kinds = {f"p{index}": kind for index, (kind, _) in enumerate(typed)}
    given_values = {f"p{index}": value for index, (_, value) in enumerate(typed)}
    descriptor = make(kinds, kinds)

    written = values.provision(descriptor, given_values, folder)
    found = values.collect(descriptor, folder)

    assert found.problems == ()
    assert found.outputs == given_values == written.values


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_random_bytes_in_an_output_are_a_value_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("random")
    kinds = ["boolean", "integer", "number", "string", "datetime"]
    for kind in kinds:
        (folder / kind).write_bytes(data)

    found = collect(folder, **{kind: kind for kind in kinds})

    assert len(found.outputs) + len({problem.path for problem in found.problems}) == len(kinds)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_survives_the_trip_as_text(tmp_path: Path, value: float) -> None:
    kind = {"id": "number", "nan_allowed": True, "infinity_allowed": True}
    descriptor = make({"x": kind}, {"x": kind})

    values.provision(descriptor, {"x": value}, tmp_path / "in")

    assert values.collect(descriptor, tmp_path / "in").outputs == {"x": str(value)}
