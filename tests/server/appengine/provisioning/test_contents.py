"""JSON values are checked in App Engine's order and with its messages, and become its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.descriptor.types import DataType
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.provisioning.contents import check_file, content_of
from localrun.server.appengine.provisioning.invalid_value import InvalidValue
from tests.support.descriptors import make, parameter
from tests.support.image_files import png

GT = "value must be greater than defined constraint"
GEQ = "value must be greater than or equal to define constraint"
LT = "value must be less than defined constraint"
LEQ = "value must be less than or equal to defined constraint"
NO_MATCH = "value does not match defined constraint."
WRONG_TYPE = "invalid parameter type"
POINT = '{ "type": "Point", "coordinates": [1.50, 2]}'
FEATURES = f'{{"type":"FeatureCollection","features":[{{"type":"Feature","geometry":{POINT}}}]}}'


def kind_of(kind: Any) -> DataType:
    return make({"p": parameter(kind)}).inputs["p"].type


def no_file(path: str) -> Path:
    raise AssertionError(path)


def stored(kind: Any, value: Any, *, optional: bool = False) -> Any:
    return content_of(kind_of(kind), value, no_file, optional=optional)


def refused(kind: Any, value: Any, *, optional: bool = False) -> AppEngineError:
    with pytest.raises(InvalidValue) as caught:
        stored(kind, value, optional=optional)
    return caught.value.error("p")


def array(subtype: Any, **bounds: int) -> dict[str, Any]:
    return {"id": "array", "subtype": subtype, **bounds}


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("boolean", True, b"true"),
        ("boolean", False, b"false"),
        ("integer", 18, b"18"),
        ("integer", -(2**31), b"-2147483648"),
        ("number", 5, b"5"),
        ("number", -5.5, b"-5.5"),
        ("number", 1e10, b"1.0E10"),
        ({"id": "number", "nan_allowed": True}, "NaN", b"NaN"),
        ({"id": "number", "infinity_allowed": True}, "-INF", b"-INF"),
        ("number", "0x1p3", b"0x1p3"),
        ("string", "grüße", "grüße".encode()),
        ("string", "", b""),
        ("string", "\ud800", b"?"),
        ({"id": "enumeration", "values": ["A", "B"]}, "A", b"A"),
        ("datetime", "2024-02-23T18:00:00+01:00", b"2024-02-23T18:00:00+01:00"),
        ("geometry", POINT, POINT.encode()),
    ],
)
def test_a_value_becomes_the_text_of_its_file(kind: Any, value: Any, expected: bytes) -> None:
    assert stored(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ({"id": "integer", "gt": 3, "geq": 4, "lt": 1}, 3, GT),
        ({"id": "integer", "geq": 4, "lt": 1}, 3, GEQ),
        ({"id": "integer", "lt": 3, "leq": 2}, 3, LT),
        ({"id": "integer", "leq": 2}, 3, LEQ),
        ({"id": "number", "lt": 3}, "inf", LT),
        ("number", "inf", "value cannot be infinity"),
        ("number", 10**400, "value cannot be infinity"),
        ({"id": "number", "gt": 3}, "nan", "value cannot be nan"),
        ("number", True, WRONG_TYPE),
        ("number", [1], WRONG_TYPE),
        ({"id": "string", "min_length": 2}, "a", GT),
        ({"id": "string", "max_length": 1}, "🙂", GEQ),
        ({"id": "enumeration", "values": ["A"]}, "B", NO_MATCH),
        ({"id": "enumeration", "values": ["A"]}, 1, NO_MATCH),
        ({"id": "enumeration", "values": ["A"]}, "A\n", GT),
        ({"id": "enumeration", "values": ["A"]}, "A" * 257, GT),
        ("boolean", "true", NO_MATCH),
        ("boolean", 1, NO_MATCH),
        ("datetime", 5, WRONG_TYPE),
        (
            {"id": "datetime", "before": "2024-01-01T00:00:00Z"},
            "2024-02-01T00:00:00Z",
            "date must be before the defined constraint",
        ),
        (
            {"id": "datetime", "after": "2024-01-01T00:00:00Z"},
            "2023-02-01T00:00:00Z",
            "date must be after the defined constraint",
        ),
        ("geometry", {"type": "Point", "coordinates": [1, 2]}, WRONG_TYPE),
        ("file", {}, WRONG_TYPE),
        ("image", 5, WRONG_TYPE),
    ],
)
def test_the_first_broken_rule_gives_the_message(kind: Any, value: Any, message: str) -> None:
    error = refused(kind, value)
    assert (error.status_code, error.code) == (400, "APPE-internal-request-validation-error")
    assert error.message == message
    assert error.details == {"type": "parameter", "parameterName": "p"}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", "5"),
        ("integer", 5.0),
        ("integer", 2**31),
        ("integer", True),
        ("string", 5),
        ("datetime", "2024"),
    ],
)
def test_a_value_that_java_cannot_cast_is_an_error_of_the_server(kind: Any, value: Any) -> None:
    error = refused(kind, value)
    assert (error.status_code, error.code) == (500, "APPE-internal-server-error")
    assert error.details["type"] == "server"


def test_text_that_is_no_number_is_an_invalid_format_without_a_parameter() -> None:
    error = refused("number", "five")
    assert (error.status_code, error.code) == (400, "APPE-internal-bundle-validation-error")
    assert (error.message, error.details) == ("Invalid bundle format", {"type": "empty"})


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize(
    "kind", ["boolean", "integer", "number", "string", {"id": "enumeration", "values": ["A"]}]
)
def test_null_is_written_as_a_word(kind: Any, optional: bool) -> None:
    assert stored(kind, None, optional=optional) == b"null"


def test_null_is_written_for_an_optional_geometry_only() -> None:
    assert stored("geometry", None, optional=True) == b"null"
    assert refused("geometry", None).message == WRONG_TYPE


@pytest.mark.parametrize("kind", ["datetime", "file", "image"])
def test_null_is_the_wrong_type_for_what_is_required(kind: str) -> None:
    assert refused(kind, None).message == WRONG_TYPE


@pytest.mark.parametrize("kind", ["file", "image", array("integer")])
def test_null_for_a_file_or_an_array_cannot_be_stored(kind: Any) -> None:
    error = refused(kind, None, optional=True)
    assert (error.status_code, error.code) == (400, "APPE-storage-storing-input-failed")
    assert error.message == "failed to store input file in storage service"
    assert error.details == {"type": "related", "parameterName": "p", "description": "the value is null"}


def test_null_for_an_optional_datetime_is_an_error_of_the_server() -> None:
    assert refused("datetime", None, optional=True).status_code == 500


class TestArrays:
    def test_items_are_stored_by_their_index(self) -> None:
        value = [{"index": 1, "value": 7}, {"index": 0, "value": 3}, {"index": 5, "value": None}]
        assert stored(array("integer"), value) == {1: b"7", 0: b"3", 5: b"null"}

    def test_arrays_are_nested(self) -> None:
        value = [{"index": 0, "value": [{"index": 0, "value": True}]}]
        assert stored(array(array("boolean")), value) == {0: {0: b"true"}}

    def test_a_bare_list_is_stored_in_its_order(self) -> None:
        assert stored(array("string"), ["a", "b"]) == {0: b"a", 1: b"b"}
        assert stored(array(array("string")), [["a"], []]) == {0: {0: b"a"}, 1: {}}

    def test_an_empty_array_has_no_items(self) -> None:
        assert stored(array("string"), []) == {}

    @pytest.mark.parametrize("size", [0, 3])
    def test_a_wrong_size_is_a_wrong_dimension(self, size: int) -> None:
        value = [{"index": index, "value": 1} for index in range(size)]
        error = refused(array("integer", min_size=1, max_size=2), value)
        assert (error.status_code, error.code) == (400, "APPE-internal-invalid-dimensions")
        assert error.message == "invalid collection dimensions"
        assert error.details == {"type": "parameter", "parameterName": "p"}

    def test_one_bound_alone_is_checked(self) -> None:
        assert refused(array("integer", max_size=1), [1, 2]).code == "APPE-internal-invalid-dimensions"
        assert refused(array("integer", min_size=1), []).code == "APPE-internal-invalid-dimensions"
        assert refused(array(array("integer", min_size=1)), [[]]).code == "APPE-internal-invalid-dimensions"

    @pytest.mark.parametrize(
        "value",
        [
            5,
            "a",
            {"index": 0},
            [{"index": "0", "value": 1}],
            [{"value": 1}],
            [{"index": -1, "value": 1}],
            [{"index": 10**9, "value": 1}],
            [{}],
        ],
    )
    def test_another_structure_is_refused(self, value: Any) -> None:
        error = refused(array("integer"), value)
        assert (error.status_code, error.code) == (400, "APPE-internal-invalid-structure")
        assert error.message == "invalid provision structure"

    def test_an_item_follows_the_rules_of_its_type(self) -> None:
        kind = array({"id": "integer", "gt": 3})
        assert refused(kind, [{"index": 0, "value": 3}]).message == GT

    def test_a_collection_of_geojson_is_split_into_items(self) -> None:
        found = stored(array("geometry"), FEATURES)
        assert found == {0: b'{"type":"Feature","geometry":{"type":"Point","coordinates":[1.5,2]}}'}
        geometries = f'{{"type":"GeometryCollection","geometries":[{POINT}]}}'
        assert stored(array("geometry"), geometries) == {0: b'{"type":"Point","coordinates":[1.5,2]}'}

    @pytest.mark.parametrize(
        ("text", "code", "message"),
        [
            ("{", "APPE-internal-invalid-collection", "invalid feature collection"),
            (POINT, "APPE-internal-request-validation-error", "invalid GeoJSON object"),
            (
                '{"type":"FeatureCollection","features":[7]}',
                "APPE-internal-request-validation-error",
                "failed to parse the given GeoJSON object",
            ),
        ],
    )
    def test_a_broken_collection_of_geojson_is_refused(self, text: str, code: str, message: str) -> None:
        error = refused(array("geometry"), text)
        assert (error.code, error.message) == (code, message)


def test_a_file_of_this_machine_is_checked_and_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    assert content_of(kind_of("image"), str(path), Path) == path
    jpegs = kind_of({"id": "image", "formats": ["jpeg"]})
    with pytest.raises(InvalidValue, match="invalid image format"):
        content_of(jpegs, str(path), Path)


def test_only_images_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(20))
    assert not check_file(kind_of({"id": "file", "formats": ["text"], "max_file_size": "1kB"}), path)
