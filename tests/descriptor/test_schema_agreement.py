"""localrun agrees with the published schema, except for differences in the table of divergences.

Valid and mutated descriptors are generated at random. A difference without a row in the table fails the test.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localrun import descriptor
from localrun.descriptor.divergences import TABLE, find_by_message
from localrun.errors import DescriptorError, Problem
from tests.support.descriptors import HEAD, as_json, parameter
from tests.support.published_rules import validator


def schema_refuses(value: Any) -> bool:
    return not validator().is_valid(value)


def look(value: Any) -> tuple[list[Problem], list[Problem]]:
    """Return localrun's problems and warnings."""
    try:
        found = descriptor.read(json.dumps(value, ensure_ascii=False).encode())
    except DescriptorError as error:
        return list(error.problems), []
    return [], list(found.warnings)


def rows(problems: list[Problem]) -> set[str]:
    """Return the rows that messages are based on; "" stands for none."""
    found = (find_by_message(problem.message) for problem in problems)
    return {row.id if row else "" for row in found}


# allowed by the documentation but not by the schema; allowed by the schema but impossible to run
STRICTER_SCHEMA = {"author", "file_size_bare"}
STRICTER_LOCALRUN = {"folder_unsafe", "resources_negative"}


def unexplained(value: Any) -> str:
    """Return a difference from the schema that no row explains, or ""."""
    problems, told = look(value)
    refused = schema_refuses(value)
    if refused and not problems and not rows(told) & STRICTER_SCHEMA:
        return f"only the schema refuses: {[error.message for error in validator().iter_errors(value)]}"
    if problems and not refused and not rows(problems) <= STRICTER_LOCALRUN:
        return f"only localrun refuses: {[str(problem) for problem in problems]}"
    return ""


# -- descriptors ----------------------------------------------------------------------------------

small = st.integers(-3, 9)
sizes = st.sampled_from(["10MB", "2GiB", "1.5Mi", "8kb", "100 MiB"])
moments = st.sampled_from(["2024-02-23T18:00:00Z", "2020-01-01T00:00:00+01:00"])


def long(kind: str, **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"id": st.just(kind)}, optional=optional)


def subset(*words: str) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3)


bounds = {"gt": small, "lt": small, "geq": small, "leq": small}
numbers = {name: small | st.sampled_from([0.5, -1.25]) for name in bounds}
flags = {"infinity_allowed": st.booleans(), "nan_allowed": st.booleans()}
items = st.lists(st.text("abc é", min_size=1, max_size=4), min_size=1, max_size=3)
plain = st.one_of(
    st.sampled_from(["boolean", "integer", "number", "string", "datetime", "geometry", "file", "image"]),
    long("boolean"),
    long("integer", **bounds),
    long("number", **numbers, **flags),
    long("string", min_length=small, max_length=small),
    st.fixed_dictionaries({"id": st.just("enumeration"), "values": items}),
    long("datetime", before=moments, after=moments),
    long("geometry"),
    long("file", max_file_size=sizes, formats=subset("binary", "text")),
    long(
        "image",
        max_file_size=sizes,
        formats=subset("dicom", "jpeg", "png", "tiff", "wsidicom"),
        max_width=small,
        max_height=small,
    ),
)
types = st.recursive(
    plain,
    lambda inner: st.fixed_dictionaries(
        {"id": st.just("array"), "subtype": inner}, optional={"min_size": small, "max_size": small}
    ),
    max_leaves=2,
)
dependencies = st.fixed_dictionaries(
    {}, optional={"derived_from": st.just("inputs/a"), "matching": st.just(["inputs/a"])}
)
parameters = st.dictionaries(
    st.sampled_from(["a", "b_1", "C"]),
    st.fixed_dictionaries(
        {"type": types, "description": st.text("ab ", max_size=5)},
        optional={
            "display_name": st.text("ab", min_size=1, max_size=5),
            "optional": st.booleans(),
            "dependencies": dependencies,
        },
    ),
    max_size=2,
)
resources = st.fixed_dictionaries(
    {},
    optional={
        "ram": st.sampled_from(["2Gi", "2G", "1.5Gi", "1024k", "2 Gi", "2GiB", "0Gi"]),
        "cpus": st.integers(0, 4),
        "gpus": st.integers(0, 2),
        "internet": st.booleans(),
    },
)
configurations = st.fixed_dictionaries(
    {},
    optional={
        "input_folder": st.sampled_from(["/inputs", "/data/in/"]),
        "output_folder": st.sampled_from(["/outputs", "/data/out"]),
        "resources": resources,
        "image": st.just({"file": "/x-1.tar"}),
    },
)
valid = st.fixed_dictionaries(
    {
        "$schema": st.just(HEAD["$schema"]),
        "name": st.from_regex(r"[a-zA-Z0-9_ \-]{3,30}", fullmatch=True),
        "namespace": st.from_regex(r"[a-z]{0,3}(\.[a-z0-9_-]{1,4}){1,2}", fullmatch=True),
        "version": st.sampled_from(["1.0.0", "0.1.2-rc.1", "2.0.0+b1"]),
        "authors": st.just(HEAD["authors"]),
        "configuration": configurations,
        "inputs": parameters,
        "outputs": parameters,
    },
    optional={
        "name_short": st.just("x"),
        "description": st.text("ab", max_size=9),
        "external": st.just({"source_code": "https://example.org", "doi": ["https://doi.org/1"]}),
        "licence": st.just("MIT"),
    },
)

# -- mutations ------------------------------------------------------------------------------------

junk = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            1,
            -1,
            1.0,
            1.5,
            10**12,
            "",
            "a",
            "1",
            "1.0",
            "v1.0.0",
            "yes",
            "é",
            "a\n",
            "x" * 300,
        ),
        *("/", "/a/../b", "outputs", "/outputs", "10", "10B", "10MB", "2gi", "0.5", ".foo", "a-b.c", "a.b-c"),
        *(
            "integer",
            "enumeration",
            "array",
            "int",
            "a@b",
            "@b",
            "a b",
            "http://x y",
            "2024-01-01",
            "no date",
        ),
        *([], {}, ["a"], [1], [""], {"id": "integer"}, {"id": 5}, {"id": "array"}, {"ram": "512"}),
        *({"id": "enumeration", "values": []}, {"first_name": "A"}, ["png", "x"], {"a-b": 1}),
    ]
)


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every nested value."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from spots(item, (*path, key))


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    value = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(sorted(spots(value), key=str)))
        holder: Any = value
        for key in path[:-1]:
            holder = holder[key]
        if draw(st.booleans()):
            holder[path[-1]] = copy.deepcopy(draw(junk))
        elif draw(st.booleans()):
            del holder[path[-1]]
        elif isinstance(holder, dict):
            key = draw(
                st.sampled_from(["default", "optional", "id", "display_name", "type", "x", "a-b", "gt"])
            )
            holder[key] = copy.deepcopy(draw(junk))
    return value


QUICK = settings(suppress_health_check=list(HealthCheck))


@QUICK
@given(valid)
def test_every_descriptor_that_follows_the_schema_is_read(value: Any) -> None:
    assert not schema_refuses(value)
    assert unexplained(value) == ""


@QUICK
@given(mutated())
def test_a_mutated_descriptor_is_judged_as_the_schema_does(value: Any) -> None:
    assert unexplained(value) == ""


def configuration(**more: Any) -> Any:
    return as_json({}, {}, configuration={**HEAD["configuration"], **more})


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("author", as_json({}, {}, authors=[{"first_name": "Ada"}])),
        ("file_size_bare", as_json({"x": parameter({"id": "file", "max_file_size": "100B"})}, {})),
        ("folder_unsafe", configuration(input_folder="/outputs")),
        ("folder_unsafe", configuration(input_folder="/a/../b")),
        ("folder_unsafe", configuration(output_folder="/")),
        ("resources_negative", configuration(resources={"cpus": -1})),
        ("resources_negative", configuration(resources={"gpus": -1})),
    ],
)
def test_each_difference_is_a_row_of_the_table(row: str, value: Any) -> None:
    # Given a descriptor that only one of the two refuses
    problems, told = look(value)

    # Then the message identifies the row, whose verdict matches
    assert schema_refuses(value) == (not problems)
    assert row in rows(problems or told)
    assert TABLE[row].verdict == ("takes" if problems else "refuses")


def test_a_difference_without_a_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    value = as_json({}, {}, authors=[{"first_name": "Ada"}])
    monkeypatch.setitem(globals(), "STRICTER_SCHEMA", set())

    assert unexplained(value).startswith("only the schema refuses")
