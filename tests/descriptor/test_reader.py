"""The content of descriptors, and every problem that they can have."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun import descriptor
from localrun.descriptor import MISSING, Author, ResourceRequest
from localrun.descriptor.divergences import PREFIX, TABLE
from localrun.descriptor.types import Array, DateTime, Enumeration, File, Image, Integer, Number, String
from localrun.errors import MOST_PROBLEMS, DescriptorError
from tests.support.descriptors import HEAD, as_json, make, messages_by_path, parameter, problems
from tests.support.work import count_calls, cpu_seconds

WHOLE = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Count cells
name_short: count
version: 1.2.3-beta.1
namespace: org.example.count
description: Counts cells.
authors:
  - first_name: Ada
    last_name: Lovelace
    organization: Example
    email: ada@example.org
    is_contact: true
external:
  source_code: https://example.org/source
  doi: [https://doi.org/10.1/x]
configuration:
  input_folder: /data/in/
  output_folder: /data/out
  image: {file: /org.example.count-1.2.3-beta.1.tar}
  resources: {ram: 1.5Gi, cpus: 2, gpus: 1, internet: true}
inputs:
  image:
    type: {id: image, formats: [png, tiff], max_width: 100, max_file_size: 10MB}
    description: what to count in
    display_name: Image
  threshold:
    type: {id: number, gt: 0, leq: 1}
    description: how bright a cell is
    display_name: Threshold
    default: 0.5
    optional: true
outputs:
  count:
    type: {id: integer, geq: 0}
    description: how many
    display_name: Count
    dependencies: {derived_from: inputs/image}
"""


def refused(text: str) -> list[str]:
    with pytest.raises(DescriptorError) as caught:
        descriptor.read(text.encode())
    return [str(problem) for problem in caught.value.problems]


def test_every_field_is_read() -> None:
    found = descriptor.read(WHOLE.encode())

    assert (found.name, found.name_short, found.namespace) == ("Count cells", "count", "org.example.count")
    assert (found.version, found.description) == ("1.2.3-beta.1", "Counts cells.")
    assert found.authors == (Author("Ada", "Lovelace", "Example", "ada@example.org", is_contact=True),)
    assert (found.source_code, found.doi) == ("https://example.org/source", ("https://doi.org/10.1/x",))
    assert (found.input_folder, found.output_folder) == ("/data/in", "/data/out")
    assert found.resources == ResourceRequest(cpus=2, memory=3 * 2**29, gpus=1, internet=True)
    assert found.warnings == ()


def test_every_parameter_is_read_with_its_constraints() -> None:
    found = descriptor.read(WHOLE.encode())

    assert found.inputs["image"].type == Image(10**7, ("png", "tiff"), max_width=100)
    threshold = found.inputs["threshold"]
    assert threshold.type == Number(gt=0, leq=1)
    assert (threshold.optional, threshold.default, threshold.has_default) == (True, 0.5, True)
    assert found.inputs["image"].default is MISSING
    assert not found.inputs["image"].has_default
    assert found.outputs["count"].derived_from == "inputs/image"


def test_what_is_left_out_has_the_servers_defaults() -> None:
    found = make(configuration={})

    assert found.resources == ResourceRequest(cpus=1, memory=4 * 1024**3, gpus=0, internet=False)
    assert (found.input_folder, found.output_folder) == ("/inputs", "/outputs")


def test_a_problem_names_file_line_column_path_and_remedy() -> None:
    text = WHOLE.replace("{id: integer, geq: 0}", "integr")

    assert refused(text) == [
        "descriptor.yml:34:5 outputs.count.type: unknown type 'integr'; did you mean 'integer'?"
    ]


def test_all_problems_are_told_at_once() -> None:
    text = (
        WHOLE.replace("1.2.3-beta.1", "1.0")
        .replace("cpus: 2", "cpus: 0.5")
        .replace("description: how many", "desription: how many")
        .replace("ram: 1.5Gi", "ram: 512")
    )

    assert refused(text) == [
        "descriptor.yml:4:1 version: expected a string, got 1.0 (number); put it in quotes",
        "descriptor.yml:20:15 configuration.resources.ram: expected a string, got 512 (integer); "
        "put it in quotes",
        "descriptor.yml:20:25 configuration.resources.cpus: expected an integer, got 0.5 (number); "
        "write a whole number without quotes",
        "descriptor.yml:33:3 outputs.count.description: missing required field; "
        "rename 'desription' to 'description'",
    ]


@pytest.mark.parametrize("key", [key for key in [*HEAD, "inputs", "outputs"] if key != "name_short"])
def test_a_required_key_that_is_missing_is_named(key: str) -> None:
    text = json.dumps({name: value for name, value in as_json({"x": "file"}, {}).items() if name != key})

    assert refused(text) == [f"descriptor.yml:1:1 {key}: missing required field; add {key!r}"]


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ({"name": "ab"}, "name"),
        ({"name": "a" * 31}, "name"),
        ({"name": "dots.not"}, "name"),
        ({"name": "caf\u00e9"}, "name"),
        ({"name": "name\u0661"}, "name"),
        ({"version": "v1.0.0"}, "version"),
        ({"version": "1.0"}, "version"),
        ({"version": "1.0.0\n"}, "version"),
        ({"version": 1.0}, "version"),
        ({"namespace": "nodot"}, "namespace"),
        ({"namespace": "a-b.c"}, "namespace"),
        ({"namespace": "a."}, "namespace"),
        ({"description": "x" * 2049}, "description"),
        ({"description": 5}, "description"),
        ({"$schema": "no uri"}, "$schema"),
        ({"authors": []}, "authors"),
        ({"authors": "Ada"}, "authors"),
        ({"authors": ["Ada"]}, "authors.0"),
        ({"authors": [{**HEAD["authors"][0], "email": "ada"}]}, "authors.0.email"),
        ({"authors": [{**HEAD["authors"][0], "is_contact": "yes"}]}, "authors.0.is_contact"),
        ({"external": {"source_code": "nowhere"}}, "external.source_code"),
        ({"external": {"doi": ["10.1/x"]}}, "external.doi.0"),
        ({"configuration": []}, "configuration"),
        ({"configuration": {"input_folder": "inputs"}}, "configuration.input_folder"),
        ({"configuration": {"input_folder": "/"}}, "configuration.input_folder"),
        ({"configuration": {"output_folder": "/../etc"}}, "configuration.output_folder"),
        ({"configuration": {"output_folder": "/inputs/"}}, "configuration"),
        ({"configuration": {"resources": {"gpus": -1}}}, "configuration.resources.gpus"),
        ({"configuration": {"resources": {"cpus": "1"}}}, "configuration.resources.cpus"),
        ({"configuration": {"resources": {"internet": 1}}}, "configuration.resources.internet"),
        ({"configuration": {"resources": {"ram": "512"}}}, "configuration.resources.ram"),
        ({"configuration": {"resources": {"ram": "2gi"}}}, "configuration.resources.ram"),
        ({"configuration": {"resources": {"ram": 2}}}, "configuration.resources.ram"),
        ({"inputs": []}, "inputs"),
        ({"inputs": {"a-b": parameter("integer")}}, "inputs.a-b"),
        ({"inputs": {"../x": parameter("integer")}}, "inputs.../x"),
        ({"inputs": {"x": 5}}, "inputs.x"),
        ({"inputs": {"x": {"description": "d"}}}, "inputs.x.type"),
        ({"inputs": {"x": {"type": "integer"}}}, "inputs.x.description"),
        ({"inputs": {"x": parameter("integer", display_name="")}}, "inputs.x.display_name"),
        ({"inputs": {"x": parameter("integer", optional="true")}}, "inputs.x.optional"),
    ],
)
def test_what_the_schema_refuses_is_refused(head: dict[str, Any], path: str) -> None:
    assert list(messages_by_path(problems(**head))) == [path]


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ({"name_short": None}, "name_short"),
        ({"configuration": {"output_folder": "/outputs"}}, "folder"),
        ({"authors": [{"first_name": "A", "last_name": "B", "organization": "C"}]}, "author"),
        ({"version": "1.0.0+build"}, "version_build"),
        ({"inputs": {}}, "no_inputs"),
        ({"configuration": {**HEAD["configuration"], "resources": {"ram": "2GiB"}}}, "ram_quantity"),
        ({"configuration": {**HEAD["configuration"], "resources": {"ram": "2 Gi"}}}, "ram_quantity"),
        ({"inputs": {"x": {"type": "integer", "description": "d"}}}, "display_name"),
        ({"outputs": {"x": parameter("file", dependencies={"matching": []})}}, "derived_from"),
        ({"outputs": {"x": parameter("integer", optional=True)}}, "output_optional"),
        ({"inputs": {"x": parameter({"id": "datetime", "after": "2024-01-01T00:00:00Z"})}}, "datetime_range"),
        ({"inputs": {"x": parameter({"id": "file", "max_file_size": "100B"})}}, "file_size_bare"),
        ({"inputs": {"x": parameter({"id": "file", "max_file_size": "10Mi"})}}, "file_size_unit"),
        ({"outputs": {"x": parameter({"id": "array", "subtype": "datetime"})}}, "array_datetime"),
        (
            {"inputs": {"x": parameter({"id": "array", "subtype": {"id": "array", "subtype": "integer"}})}},
            "array_nested_sizes",
        ),
    ],
)
def test_what_only_the_server_refuses_is_a_warning(head: dict[str, Any], row: str) -> None:
    found = make(**head)

    assert [warning.message for warning in found.warnings] == [PREFIX + TABLE[row].reason]
    assert found.warnings[0].line > 0


def test_an_unknown_key_is_ignored_with_a_guess() -> None:
    found = make({"x": parameter("integer", defualt=3)}, external={"dio": []}, licence="MIT")

    assert [(one.path, one.remedy) for one in found.warnings] == [
        ("inputs.x.defualt", "did you mean 'default'?"),
        ("external.dio", "did you mean 'doi'?"),
        ("licence", ""),
    ]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("integer", Integer()),
        ({"id": "integer", "gt": 1.0}, Integer(gt=1)),
        ({"id": "number", "nan_allowed": True, "lt": 5}, Number(lt=5, nan_allowed=True)),
        ({"id": "string", "min_length": 2, "max_length": 3}, String(2, 3)),
        ({"id": "enumeration", "values": ["a", "b"]}, Enumeration(("a", "b"))),
        ("datetime", DateTime()),
        ({"id": "file", "max_file_size": "8 kb", "formats": ["text"]}, File(1000, ("text",))),
        ({"id": "array", "subtype": "file", "max_size": 3}, Array(File(), max_size=3)),
        ({"id": "array", "subtype": {"id": "integer", "gt": 0}}, Array(Integer(gt=0))),
    ],
)
def test_a_type_is_read_in_its_short_and_long_form(kind: Any, found: Any) -> None:
    assert make({"x": parameter(kind)}).inputs["x"].type == found


@pytest.mark.parametrize(
    ("kind", "path", "part"),
    [
        ("int", "type", "unknown type 'int'"),
        ("enumeration", "type", "needs the long form"),
        ("array", "type", "needs the long form"),
        (5, "type", "expected a string"),
        ({}, "type.id", "missing"),
        ({"id": "integr"}, "type.id", "unknown type"),
        ({"id": "integer", "gt": 1.5}, "type.gt", "expected an integer"),
        ({"id": "integer", "gt": True}, "type.gt", "expected an integer"),
        ({"id": "number", "lt": "5"}, "type.lt", "expected a number"),
        ({"id": "number", "nan_allowed": "no"}, "type.nan_allowed", "expected a boolean"),
        ({"id": "enumeration"}, "type.values", "missing"),
        ({"id": "enumeration", "values": []}, "type.values", "expected at least 1"),
        ({"id": "enumeration", "values": [True]}, "type.values.0", "expected a string"),
        ({"id": "enumeration", "values": [""]}, "type.values.0", "0 characters"),
        ({"id": "enumeration", "values": ["a\nb"]}, "type.values.0", "line break"),
        ({"id": "datetime", "before": "2024-01-01"}, "type.before", "invalid datetime"),
        ({"id": "file", "formats": ["png"]}, "type.formats.0", "unknown format"),
        ({"id": "file", "formats": []}, "type.formats", "expected at least 1"),
        ({"id": "file", "max_file_size": "many"}, "type.max_file_size", "invalid size"),
        ({"id": "image", "formats": ["tif"]}, "type.formats.0", "unknown format"),
        ({"id": "image", "max_width": "9"}, "type.max_width", "expected an integer"),
        ({"id": "array"}, "type.subtype", "missing"),
        ({"id": "array", "subtype": "enumeration"}, "type.subtype", "needs the long form"),
        ({"id": "array", "subtype": "integer", "min_size": "1"}, "type.min_size", "expected an integer"),
    ],
)
def test_a_type_that_is_unfit_is_told_where_and_why(kind: Any, path: str, part: str) -> None:
    found = messages_by_path(problems({"x": parameter(kind)}))

    assert list(found) == [f"inputs.x.{path}"]
    assert part in found[f"inputs.x.{path}"]


@pytest.mark.parametrize(("word", "meant"), [("int", "integer"), ("float", "number"), ("Boolean", "boolean")])
def test_the_words_of_other_languages_are_guessed(word: str, meant: str) -> None:
    assert problems({"x": parameter(word)})[0].remedy == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ("integer", "5"),
        ("integer", 1.5),
        ("integer", None),
        ("boolean", "true"),
        ("number", "0.5"),
        ("string", 5),
        ("datetime", "yesterday"),
        ({"id": "enumeration", "values": ["5"]}, 5),
    ],
)
def test_a_default_of_another_json_type_is_refused(kind: Any, default: Any) -> None:
    assert list(messages_by_path(problems({"x": parameter(kind, default=default)}))) == ["inputs.x.default"]


def test_a_default_of_1_0_is_an_integer() -> None:
    assert make({"x": parameter("integer", default=1.0)}).inputs["x"].default == 1


@pytest.mark.parametrize(
    ("kind", "default"),
    [
        ({"id": "integer", "gt": 5}, 5),
        ({"id": "enumeration", "values": ["a"]}, "b"),
        ({"id": "string", "max_length": 1}, "ab"),
        ({"id": "array", "subtype": "integer"}, "[1]"),
        ("file", "/etc/passwd"),
    ],
)
def test_a_default_that_breaks_its_constraints_is_a_warning(kind: Any, default: Any) -> None:
    found = make({"x": parameter(kind, default=default)})

    assert [warning.path for warning in found.warnings] == ["inputs.x.default"]


@pytest.mark.parametrize(
    "kind",
    [
        {"id": "integer", "gt": 5, "lt": 6},
        {"id": "number", "gt": 5, "leq": 5},
        {"id": "number", "geq": 5, "lt": 4},
        {"id": "integer", "gt": 1, "geq": 1},
        {"id": "string", "min_length": 5, "max_length": 1},
        {"id": "array", "subtype": "integer", "max_size": -1},
    ],
)
def test_bounds_that_contradict_each_other_are_a_warning(kind: Any) -> None:
    assert [one.path for one in make({"x": parameter(kind)}).warnings] == ["inputs.x.type"]


def test_a_reference_to_no_parameter_is_a_warning() -> None:
    dependencies = {"derived_from": "inputs/y", "matching": ["inputs/x", "nonsense"]}
    array = {"id": "array", "subtype": "integer"}
    found = make({"x": array}, {"o": parameter(array, dependencies=dependencies)})

    assert [one.path.removeprefix("outputs.o.dependencies.") for one in found.warnings] == [
        "derived_from",
        "matching.1",
    ]
    assert found.outputs["o"].matching == ("inputs/x", "nonsense")


@pytest.mark.parametrize("text", ["", "# nothing", "[]", "5", "just words", "a: [", "\xff", "&a [*a]"])
def test_a_text_that_is_no_descriptor_is_refused(text: str) -> None:
    assert refused(text)


def test_a_descriptor_of_megabytes_is_not_even_parsed() -> None:
    assert "bytes" in refused("#" * (1024**2 + 1))[0]


def test_a_hundred_lines_are_read_in_milliseconds() -> None:
    text = json.dumps(
        as_json({f"p{n}": parameter({"id": "integer", "gt": 0}) for n in range(25)}, {}), indent=1
    ).encode()
    assert cpu_seconds(lambda: descriptor.read(text)) < 0.5


_SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_ANYTHING = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [inner for key, one in pairs for inner in _paths(one, (*path, key))]


@given(st.data())
def test_a_descriptor_with_anything_at_any_place_only_raises_typed_errors(data: st.DataObject) -> None:
    whole = as_json(
        {
            "a": parameter({"id": "integer", "gt": 1}, default=5, optional=True),
            "b": parameter({"id": "array", "subtype": {"id": "enumeration", "values": ["x"]}, "min_size": 1}),
            "c": parameter({"id": "image", "formats": ["png"], "max_file_size": "1MB"}),
        },
        {"o": parameter({"id": "datetime", "before": "2024-01-01T00:00:00Z"}, dependencies={})},
    )
    path = data.draw(st.sampled_from(_paths(whole)))
    whole = json.loads(json.dumps(whole))
    place: Any = whole
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = data.draw(_ANYTHING)

    with contextlib.suppress(DescriptorError):
        assert descriptor.read(json.dumps(whole).encode()).version


@given(st.binary(max_size=200))
def test_random_bytes_only_raise_typed_errors(data: bytes) -> None:
    with pytest.raises(DescriptorError):
        descriptor.read(data)


def test_many_unknown_fields_are_counted_and_few_are_compared_with_known_ones() -> None:
    usual = len(make().warnings)

    def work(keys: int) -> int:
        more: dict[str, Any] = {f"k{number}": 1 for number in range(keys)}
        last = str(make(**more).warnings[-1])
        assert last == f"{usual + keys - MOST_PROBLEMS} more warnings are not listed"
        return count_calls(lambda: make(**more))

    assert work(2000) < 4.5 * work(500)


def test_many_problems_are_counted() -> None:
    bad: dict[str, Any] = {f"p{number}": {"type": "integer"} for number in range(1000)}
    found = problems(bad)
    assert len(found) == MOST_PROBLEMS + 1
    assert str(found[-1]) == f"{1000 - MOST_PROBLEMS} more problems are not listed"


def test_misspelled_keys_of_many_parameters_cost_linear_work() -> None:
    def work(count: int) -> int:
        keys = {f"descriptn{number}": "x" for number in range(40)}
        return count_calls(lambda: problems({f"p{number}": keys for number in range(count)}))

    assert work(200) < 4.5 * work(50)
