"""The schema for editors accepts and refuses the same descriptors as `descriptor.read`."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields

from localrun import descriptor
from localrun.descriptor.json_schema import schema
from localrun.descriptor.types import TYPES
from localrun.descriptor.types.datetime import parse_instant
from localrun.descriptor.yaml import DocumentError
from localrun.descriptor.yaml import read as read_document
from localrun.errors import DescriptorError
from tests.support.descriptors import as_json

jsonschema = pytest.importorskip("jsonschema")

SAMPLES = sorted((Path(__file__).parents[2] / "samples").glob("**/descriptor.yml"))


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    """Match patterns as editors do: ASCII classes, and `$` only at the very end."""
    if isinstance(instance, str) and not re.search(re.sub(r"(?<!\\)\$", r"\\Z", pattern), instance, re.ASCII):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _make() -> Any:
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time")(lambda value: not isinstance(value, str) or parse_instant(value))
    kind = jsonschema.validators.extend(jsonschema.Draft201909Validator, {"pattern": _pattern})
    return kind(schema(), format_checker=formats)


VALIDATOR = _make()


def accepted(data: bytes) -> bool:
    try:
        descriptor.read(data)
    except DescriptorError:
        return False
    return True


def agree(value: Any) -> bool:
    """Assert that the reader and the schema agree; return whether they accept the value."""
    data = json.dumps(value, ensure_ascii=False).encode()
    plain = read_document(data, "descriptor.yml").root.to_python()
    complaints = [error.message for error in VALIDATOR.iter_errors(plain)]
    assert accepted(data) == (not complaints), complaints
    return not complaints


def whole() -> dict[str, Any]:
    """Return a descriptor that uses every feature."""
    inputs: dict[str, Any] = {
        "a": {"id": "integer", "gt": 1, "leq": 5},
        "b": {"id": "number", "geq": 0.5, "nan_allowed": True, "infinity_allowed": False},
        "c": {"id": "string", "min_length": 1, "max_length": 9},
        "d": {"id": "enumeration", "values": ["x", "y"]},
        "e": {"id": "datetime", "before": "2030-01-01T00:00:00Z"},
        "f": {"id": "file", "max_file_size": "10MB", "formats": ["text"]},
        "g": {"id": "image", "max_file_size": "10MiB", "formats": ["png"], "max_width": 5, "max_height": 6},
        "h": {"id": "array", "subtype": {"id": "array", "subtype": "integer", "min_size": 1}, "max_size": 5},
        "i": "boolean",
        "j": "geometry",
    }
    outputs: dict[str, Any] = {"x": "integer", "y": {"id": "array", "subtype": "number"}}
    found = copy.deepcopy(as_json(inputs, outputs))
    found["description"] = "A task."
    found["external"] = {"source_code": "https://example.org/x", "doi": ["doi:10.1/x"]}
    found["configuration"]["resources"] = {"ram": "2Gi", "cpus": 1, "gpus": 0, "internet": True}
    found["authors"][0]["is_contact"] = True
    found["inputs"]["a"].update(default=3, optional=True)
    found["inputs"]["d"].update(default="x", dependencies={"matching": ["inputs/h"]})
    found["inputs"]["e"].update(default="2024-02-23T18:00:00Z")
    found["outputs"]["x"].update(optional=False, dependencies={"derived_from": "inputs/a"})
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every nested value."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in keys:
        yield (*path, key)
        yield from places(inner, (*path, key))


PLACES = list(places(whole()))
WORDS = [
    *(
        "",
        "x",
        "x y",
        "integer",
        "integr",
        "array",
        "enumeration",
        "file",
        "1.0.0",
        "v1.0.0",
        "1.0",
        "01.0.0",
    ),
    *("1.0.0-rc.1", "1.0.0+b", "a.b", "a", ".a", "a-b.c", "a.b-c", "/", "//", "/.", "/a/..", "/..a", "/a b"),
    *("/x", "inputs", "512", "512Mi", "2 Gi", "2GiB", "10", "10B", "10 bit", "1.5k", "2gi", "0Gi", "01Gi"),
    *("a@b", "a@", "https://example.org", "doi:x", "no uri", "ä", "a\nb", "x" * 31, "x" * 300, "x" * 3000),
    *("2024-02-23T18:00:00Z", "2024-02-23", "text", "binary", "png", "gif", "inputs/a", "outputs/x"),
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([0.5, 3.0, -1.5]),
    st.sampled_from(WORDS),
    st.sampled_from([[], ["a"], [1], {}, {"id": "integer"}, {"id": "array"}, ["png"], [{}], {"a b": 1}]),
)


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return made


def test_every_field_of_every_type_is_in_the_schema() -> None:
    defined = schema()["$defs"]
    for name, kind in TYPES.items():
        forms = defined[name].get("oneOf", [{}, defined[name]])
        assert set(forms[1]["properties"]) == {"id", *(field.name for field in fields(kind))}


def test_the_schema_is_one_of_its_dialect() -> None:
    jsonschema.Draft201909Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.parent.name)
def test_the_schema_and_the_reader_agree_on_a_sample(path: Path) -> None:
    data = path.read_bytes()
    try:
        plain = read_document(data, path.name).root.to_python()
    except DocumentError:  # invalid YAML: not covered by the schema
        assert not accepted(data)
        return
    assert accepted(data) == VALIDATOR.is_valid(plain)


def test_a_descriptor_with_something_of_everything_is_taken_by_both() -> None:
    assert agree(whole())


def test_both_agree_when_a_value_is_left_out() -> None:
    for path in PLACES:
        made = whole()
        inner: Any = made
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        agree(made)


@settings(deadline=None)
@given(st.sampled_from(PLACES), VALUES)
def test_both_agree_when_a_value_is_another_one(path: tuple[Any, ...], new: Any) -> None:
    folders = {"input_folder": "/outputs", "output_folder": "/inputs"}
    if folders.get(path[-1]) == new:
        return  # the same folder twice: not expressible in the schema
    agree(changed(whole(), path, new))


@settings(deadline=None)
@given(
    st.sampled_from(["name", "version", "namespace"]),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.sampled_from(" \t.-+_"), max_size=40
    ),
)
def test_both_agree_on_any_text(key: str, text: str) -> None:
    agree(changed(whole(), (key,), text))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((("inputs", "a b"), {}), "does not match any of the regexes"),
        ((("inputs", "a", "type"), "integr"), "integr"),
        ((("inputs", "a", "default"), "three"), "'three' is not of type 'integer'"),
        ((("configuration",), None), "None is not of type 'object'"),
    ],
)
def test_what_is_wrong_is_refused_with_words_an_editor_can_show(change: Any, words: str) -> None:
    complaints = [error.message for error in VALIDATOR.iter_errors(changed(whole(), *change))]
    assert any(words in message for message in complaints)
