"""One test per row of the table of divergences, named after it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from localrun import descriptor, values
from localrun.bundle.validation.validator import Severity
from localrun.descriptor.divergences import PREFIX, ROWS, TABLE, divergence, find_by_message
from localrun.descriptor.types import DateTime, Integer, Notes
from localrun.engines.fake import FakeContainer
from localrun.errors import Cause, DescriptorError, InputsError, Problem
from localrun.task.states import TaskState
from localrun.values import CollectedOutputs
from tests.bundle.validation.test_upload import NAMED, docker_tar, layout
from tests.bundle.validation.test_validator import look
from tests.support.archives import attestation, nested, oci_image
from tests.support.bundles import DESCRIPTOR, NAME, bundle, image, zip_of
from tests.support.descriptors import HEAD, as_json, make, parameter, problems
from tests.support.environment import make_environment
from tests.support.image_files import dicom, jpeg, png, slide, tiff
from tests.support.images import tar_of

ARRAY = {"id": "array", "subtype": "integer"}
BOUNDED = {**ARRAY, "min_size": 0, "max_size": 9}
POINT = {"type": "Point", "coordinates": [1, 2]}
AUTHOR = HEAD["authors"][0]


def ids(messages: Any) -> list[str]:
    """Return the ids of the rows that messages are based on."""
    found = (
        find_by_message(message.message if isinstance(message, Problem) else message) for message in messages
    )
    return [row.id if row else "" for row in found]


def warned(inputs: Any = None, outputs: Any = None, **head: Any) -> list[str]:
    """Return the rows of the warnings about a descriptor."""
    return ids(make(inputs, outputs, **head).warnings)


def refused(inputs: Any = None, outputs: Any = None, **head: Any) -> list[str]:
    """Return the rows of the problems of a descriptor."""
    return ids(problems(inputs, outputs, **head))


def configured(**more: Any) -> dict[str, Any]:
    return {"configuration": {**HEAD["configuration"], **more}}


def given(folder: Path, kind: Any, value: Any) -> list[str]:
    """Return the rows of the warnings about an input."""
    return ids(values.provision(make({"x": kind}), {"x": value}, folder / "in").warnings)


def not_taken(folder: Path, kind: Any, value: Any) -> list[str]:
    """Return the problem messages of an invalid input."""
    with pytest.raises(InputsError) as caught:
        values.provision(make({"x": kind}), {"x": value}, folder / "in")
    return [problem.message for problem in caught.value.problems]


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def collected(folder: Path, kind: Any, files: dict[str, bytes | str]) -> CollectedOutputs:
    """Write files and collect them as the output `o` of a type."""
    for name, data in files.items():
        written(folder / "out", name, data if isinstance(data, bytes) else data.encode())
    return values.collect(make(None, {"o": kind}), folder / "out")


def of_bundle(path: Path, *weights: Severity) -> set[str]:
    """Return the rows of the findings in a bundle, by severity."""
    return set(ids(finding.problem for finding in look(path).with_severity(*weights))) - {""}


def zipped(folder: Path, **members: bytes) -> Path:
    return zip_of(folder / "b.zip", {"descriptor.yml": DESCRIPTOR.encode(), **members})


# -- the table itself -----------------------------------------------------------------------------


def test_every_row_has_a_test_named_after_it() -> None:
    tests = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]

    assert [row.id for row in ROWS if not any(f"{test}_".startswith(f"{row.id}_") for test in tests)] == []


def test_every_row_is_whole_and_found_by_its_name() -> None:
    assert len(TABLE) == len(ROWS)
    for row in ROWS:
        assert row.location
        assert row.reason
        assert row.remedy
        assert divergence(row.id) is row
        assert not row.reason.endswith(".")
        assert row.verdict != "takes" or not row.code or row.id == "resources_negative"


def test_a_warning_begins_with_what_the_server_does_and_leads_back_to_its_row() -> None:
    heads = {
        "refuses": PREFIX,
        "takes": "App Engine would accept this: ",
        "differs": "App Engine behaves differently: ",
    }

    for row in ROWS:
        assert row.warning == heads[row.verdict] + row.reason
        assert row.format_warning("inputs.x") == f"{heads[row.verdict]}inputs.x: {row.reason}; {row.remedy}"
        if not row.fragments:
            assert find_by_message(row.format_warning("inputs.x")) is row


def test_a_message_of_something_else_has_no_row() -> None:
    assert find_by_message("something else") is None


# -- the descriptor -------------------------------------------------------------------------------


def test_name_short() -> None:
    assert warned(name_short=None) == ["name_short"]


def test_folder() -> None:
    assert warned(configuration={"input_folder": "/inputs"}) == ["folder"]


@pytest.mark.parametrize("folder", ["/", "/a/../b", "/outputs"])
def test_folder_unsafe(folder: str) -> None:
    assert refused(**configured(input_folder=folder)) == ["folder_unsafe"]


def test_author() -> None:
    assert warned(authors=[{key: AUTHOR[key] for key in AUTHOR if key != "organization"}]) == ["author"]


def test_a_dash_in_the_namespace_is_accepted() -> None:
    assert warned(namespace="com.my-lab") == []


def test_author_contact_is_noted_for_validate_only() -> None:
    author = {key: value for key, value in AUTHOR.items() if key != "is_contact"}
    found = make(authors=[AUTHOR, author])
    assert found.warnings == ()
    assert ids(found.notes) == ["author_contact"]
    assert found.notes[0].path == "authors.1.is_contact"
    assert "older servers refuse this" in found.notes[0].message


def test_version_build() -> None:
    assert warned(version="1.0.0+b1") == ["version_build"]


def test_image_file() -> None:
    right = f"/{HEAD['namespace']}-{HEAD['version']}.tar"

    assert warned(**configured(image={"file": right})) == []
    assert warned(**configured(image={"file": "/image.tar"})) == ["image_file"]


def test_no_inputs() -> None:
    assert warned({}) == ["no_inputs"]


def test_ram_default() -> None:
    assert make().resources.memory == 4 * 1024**3


@pytest.mark.parametrize("ram", ["2GiB", "2 Gi", "2Gfoo"])
def test_ram_quantity(ram: str) -> None:
    assert warned(**configured(resources={"ram": ram})) == ["ram_quantity"]


def test_ram_zero() -> None:
    assert warned(**configured(resources={"ram": "0Gi"})) == ["ram_zero"]
    assert make(**configured(resources={"ram": "0Gi"})).resources.memory == 4 * 1024**3


@pytest.mark.parametrize("key", ["cpus", "gpus"])
def test_resources_negative(key: str) -> None:
    assert refused(**configured(resources={key: -1})) == ["resources_negative"]


def test_internet(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda _: 0) as env:
        assert env.run(assignments=("a=3", "b=4")).network is False
        text = env.bundle.read_text().replace("cpus: 1", "cpus: 1, internet: true")
        env.bundle.write_text(text)
        assert env.run(assignments=("a=3", "b=4")).network is True


def test_display_name() -> None:
    assert warned({"x": {"type": "integer", "description": "d"}}) == ["display_name"]
    assert warned(None, {"x": {"type": "integer", "description": "d"}}) == ["display_name"]


def test_derived_from() -> None:
    assert warned(None, {"o": parameter("integer", dependencies={})}) == ["derived_from"]


def test_derived_from_short() -> None:
    found = warned(None, {"o": parameter("integer", dependencies={"derived_from": "x"})})
    assert "derived_from_short" in found


def test_derived_from_ignored() -> None:
    outputs = {"o": parameter("integer", dependencies={"derived_from": "outputs/p"}), "p": "integer"}
    assert warned(None, outputs) == ["derived_from_ignored"]


def test_matching_type() -> None:
    inputs = {"a": "integer", "b": parameter(ARRAY, dependencies={"matching": ["inputs/a"]})}
    assert warned(inputs) == ["matching_type"]


def test_matching_names() -> None:
    dependencies = {"derived_from": "inputs/a", "matching": ["inputs/a"]}
    assert warned({"a": ARRAY}, {"a": parameter(ARRAY, dependencies=dependencies)}) == ["matching_names"]


def test_matching_absent(tmp_path: Path) -> None:
    second = parameter(ARRAY, dependencies={"matching": ["inputs/a"]}, optional=True)
    found = values.provision(make({"a": ARRAY, "b": second}), {"a": [1]}, tmp_path / "in")
    assert ids(found.warnings) == ["matching_absent"]


def test_output_optional(tmp_path: Path) -> None:
    assert warned(None, {"o": parameter("integer", optional=True)}) == ["output_optional"]
    (tmp_path / "out").mkdir()
    assert ids(collected(tmp_path, parameter("integer", optional=True), {}).warnings) == ["output_optional"]


def test_default_unused(tmp_path: Path) -> None:
    # Given an input with a default that is not given
    found = values.provision(make({"x": parameter("integer", default=7)}), {}, tmp_path / "in")

    # Then the task finds its file, and a note reports the default
    assert (tmp_path / "in/x").read_text() == "7"
    assert ids(found.notes) == ["default_unused"]


def test_default_unchecked() -> None:
    assert warned({"x": parameter({"id": "integer", "gt": 5}, default=1)}) == ["default_unchecked"]


def test_bounds_both() -> None:
    assert warned({"x": {"id": "integer", "gt": 1, "geq": 2}}) == ["bounds_both"]


def test_key_unknown() -> None:
    assert warned(external={"dio": []}) == ["key_unknown"]


def test_the_documented_spelling_of_doi_is_not_warned_about() -> None:
    assert warned(external={"dois": ["10.1/x"], "source_code": "https://example.org"}) == []


def test_alias() -> None:
    text = DESCRIPTOR.replace("display_name: A}", "display_name: &n A}").replace(
        "display_name: B", "display_name: *n"
    )
    found = descriptor.read(text.encode())
    assert ids(found.warnings) == ["alias"]
    assert found.warnings[0].message == (
        "alias *n: App Engine behaves differently: it reads a YAML alias as text, the name of the anchor"
    )


def test_alias_type() -> None:
    text = DESCRIPTOR.replace("type: integer, description: one", "type: &t {id: integer}, description: one")
    text = text.replace("type: integer, description: other", "type: *t, description: other")
    assert ids(descriptor.read(text.encode()).warnings) == ["alias_type"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("datetime_range", "APPE-internal-server-error"),
        ("derived_from_short", "APPE-internal-server-error"),
        ("alias", ""),
        ("alias_type", "APPE-internal-bundle-schema-validation-error"),
        ("matching_absent", "APPE-internal-bundle-validation-error"),
    ],
)
def test_the_code_of_a_row_is_the_one_that_the_server_sends(row: str, code: str) -> None:
    assert TABLE[row].code == code


@pytest.mark.parametrize(
    ("row", "step"),
    [
        ("no_inputs", "run creation"),
        ("ram_quantity", "run start"),
        ("matching_type", "run start"),
        ("matching_absent", "run start"),
        ("matching_names", "output validation"),
        ("output_optional", "output validation"),
        ("array_datetime", "output validation"),
        ("array_nested_output", "output validation"),
        ("array_nested_sizes", "provisioning"),
        ("file_size_unit", "provisioning"),
        ("name_short", "upload"),
    ],
)
def test_a_row_says_when_the_server_refuses(row: str, step: str) -> None:
    assert TABLE[row].step == step
    accepted = "the upload succeeds", "can be uploaded", "accepts this size at upload", "cannot start a run"
    assert any(words in TABLE[row].reason for words in accepted) is (step != "upload")


# -- the bundle -----------------------------------------------------------------------------------


def test_tar_name(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, name="image.tar"), Severity.REFUSED) == {"tar_name"}


def test_tar_ending(tmp_path: Path) -> None:
    path = bundle(tmp_path, gzip.compress(image()), name="com.example.add-1.0.0.tar.gz")
    assert "tar_ending" in of_bundle(path, Severity.REFUSED)


def test_tar_folder(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, name=f"image/{NAME}"), Severity.WARNING) >= {"tar_folder"}


def test_tar_gzip(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, gzip.compress(image())), Severity.REFUSED) == {"tar_gzip"}


def test_tar_registry(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, name="com.Lab-1.0.0.tar"), Severity.REFUSED) == {"tar_registry"}


def test_tar_fit(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, name="com.my-task-1.0.0.tar"), Severity.WARNING) == {"tar_fit"}


def test_tar_unnamed(tmp_path: Path) -> None:
    assert of_bundle(bundle(tmp_path, tar_of(docker_tar(tags=None))), Severity.REFUSED) == {"tar_unnamed"}
    assert of_bundle(bundle(tmp_path, layout(oci_image())), Severity.REFUSED) == {"tar_unnamed"}


def test_tar_attested(tmp_path: Path) -> None:
    archive = layout(nested(oci_image(), attestation()).renamed(annotations=NAMED))
    assert of_bundle(bundle(tmp_path, archive), Severity.REFUSED) == {"tar_attested"}


def test_tar_stray(tmp_path: Path) -> None:
    path = zipped(tmp_path, **{NAME: image(), "__MACOSX/._x-1.tar": b"junk"})
    assert "tar_stray" in of_bundle(path, Severity.REFUSED)


def test_tar_several(tmp_path: Path) -> None:
    path = zipped(tmp_path, **{NAME: image(), "com.other-1.0.0.tar": image()})
    assert of_bundle(path, Severity.ERROR) == {"tar_several"}


def test_tar_missing(tmp_path: Path) -> None:
    assert of_bundle(zipped(tmp_path), Severity.ERROR) == {"tar_missing"}


def test_zip_order(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "b.zip", {NAME: image(), "descriptor.yml": DESCRIPTOR.encode()})
    assert of_bundle(path, Severity.WARNING) == {"zip_order"}


def test_descriptor_dot(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "b.zip", {"./descriptor.yml": DESCRIPTOR.encode(), NAME: image()})
    assert of_bundle(path, Severity.REFUSED) == {"descriptor_dot"}


def test_zip_streamed(tmp_path: Path) -> None:
    # Given a zip that was written to a pipe
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("descriptor.yml", DESCRIPTOR)
        archive.writestr(NAME, image())
    path = written(tmp_path, "b.zip", pipe.getvalue())

    # Then App Engine, which reads it as a stream, could not read it
    assert of_bundle(path, Severity.REFUSED) == {"zip_streamed"}


# -- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bound", "inside", "outside"), [("before", "2023", "2025"), ("after", "2025", "2023")]
)
def test_datetime_range(bound: str, inside: str, outside: str) -> None:
    # the server's own check, which is never reached, accepts exactly the datetimes outside
    assert warned({"x": {"id": "datetime", bound: "2024-01-01T00:00:00Z"}}) == ["datetime_range"]
    notes = Notes("x")
    kind = DateTime(**{bound: "2024-01-01T00:00:00Z"})
    kind.parse(f"{inside}-06-01T00:00:00Z", notes)
    assert notes.problems == []
    kind.parse(f"{outside}-06-01T00:00:00Z", notes)
    assert len(notes.problems) == 1


def test_file_size_bare() -> None:
    assert warned({"x": {"id": "file", "max_file_size": "100B"}}) == ["file_size_bare"]


def test_file_size_unit() -> None:
    assert warned({"x": {"id": "image", "max_file_size": "10Mi"}}) == ["file_size_unit"]


def test_file_size_rounding() -> None:
    kind: Any = make({"x": {"id": "file", "max_file_size": "0.0012kB"}}).inputs["x"].type
    assert kind.max_file_size == 2


@pytest.mark.parametrize("limit", [{"max_file_size": "0.001kB"}, {"formats": ["text"]}])
def test_file_limits(tmp_path: Path, limit: dict[str, Any]) -> None:
    path = written(tmp_path, "f", b"\0\1\2")
    assert len(not_taken(tmp_path, {"id": "file", **limit}, path)) == 1
    assert len(collected(tmp_path, {"id": "file", **limit}, {"o": b"\0\1\2"}).problems) == 1


@pytest.mark.parametrize("bound", [{"min_size": 2}, {"max_size": 0}])
def test_array_one_size(tmp_path: Path, bound: dict[str, int]) -> None:
    assert "has 1 item" in not_taken(tmp_path, {**ARRAY, **bound}, [1])[0]


def test_array_datetime() -> None:
    kind = {"id": "array", "subtype": "datetime"}
    assert warned({"x": kind}) == []
    assert warned(None, {"o": kind}) == ["array_datetime"]


def test_array_nested_sizes() -> None:
    assert warned({"x": {"id": "array", "subtype": {**ARRAY, "min_size": 1}}}) == ["array_nested_sizes"]


def test_array_nested_output() -> None:
    kind = {"id": "array", "subtype": BOUNDED, "min_size": 1, "max_size": 3}
    assert warned({"x": kind}) == []
    assert warned(None, {"o": kind}) == ["array_nested_output"]


# -- values ---------------------------------------------------------------------------------------


def test_name_case(tmp_path: Path) -> None:
    with pytest.raises(InputsError, match="did you mean 'x'"):
        values.provision(make({"x": "integer"}), {"X": 1, "x": 2}, tmp_path / "in")


def test_value_null(tmp_path: Path) -> None:
    assert ids(not_taken(tmp_path, "integer", None)) == ["value_null"]


def test_boolean_word(tmp_path: Path) -> None:
    assert ids(collected(tmp_path, "boolean", {"o": "yes"}).problems) == ["boolean_word"]


@pytest.mark.parametrize(("text", "value"), [("0x1F", 31), ("0b101", 5), ("0o17", 15), ("1_000", 1000)])
def test_integer_spelling(text: str, value: int) -> None:
    notes = Notes("x")
    assert Integer().parse(text, notes) == value
    assert ids(notes.warnings) == ["integer_spelling"]


def test_integer_spelling_of_the_server_is_plain() -> None:
    notes = Notes("x")
    assert [Integer().parse(text, notes) for text in ("42", "+5", "007", "-0")] == [42, 5, 7, 0]
    assert notes.warnings == []


def test_integer_fraction(tmp_path: Path) -> None:
    assert given(tmp_path, "integer", 300.0) == ["integer_fraction"]
    assert (tmp_path / "in/x").read_text() == "300"


@pytest.mark.parametrize("text", ["nan", "NAN", "inf", "-Inf"])
def test_array_not_a_number(tmp_path: Path, text: str) -> None:
    kind = {"id": "array", "subtype": {"id": "number", "nan_allowed": True, "infinity_allowed": True}}
    found = collected(tmp_path, kind, {"o/array.yml": "size: 1", "o/0": text})
    assert (found.problems, ids(found.warnings)) == ((), ["array_not_a_number"])


def test_array_stray(tmp_path: Path) -> None:
    found = collected(tmp_path, ARRAY, {"o/array.yml": "size: 1", "o/0": "1", "o/readme": "x"})
    assert (found.problems, ids(found.warnings)) == ((), ["array_stray"])


def test_array_size_text(tmp_path: Path) -> None:
    found = collected(tmp_path, ARRAY, {"o/array.yml": "size: 2", "o/0": "1"})
    assert [problem.path for problem in found.problems] == ["outputs.o.array.yml"]


def test_array_gap(tmp_path: Path) -> None:
    found = collected(tmp_path, ARRAY, {"o/array.yml": "size: 2", "o/0": "1", "o/2": "1"})
    assert [problem.path for problem in found.problems] == ["outputs.o.1"]


def test_array_nested_values(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"o/array.yml": "size: 1", "o/0/array.yml": "size: 1", "o/0/0": "oops"}
    found = collected(tmp_path, {"id": "array", "subtype": BOUNDED}, files)
    assert [problem.path for problem in found.problems] == ["outputs.o.0.0"]


def test_geometry_object(tmp_path: Path) -> None:
    assert given(tmp_path, "geometry", POINT) == ["geometry_object"]
    assert json.loads((tmp_path / "in/x").read_text()) == POINT


def test_geometry_properties(tmp_path: Path) -> None:
    feature = {"type": "Feature", "geometry": POINT, "properties": {"label": "cell"}}
    assert given(tmp_path, "geometry", json.dumps(feature)) == ["geometry_properties"]


def test_geometry_shape(tmp_path: Path) -> None:
    feature = {"type": "Feature", "geometry": POINT, "properties": {"subType": "Rectangle"}}
    assert given(tmp_path, "geometry", json.dumps(feature)) == ["geometry_shape"]


def test_geometry_places(tmp_path: Path) -> None:
    text = json.dumps({"type": "Point", "coordinates": [1, 2, 3, 4]})
    assert given(tmp_path, "geometry", text) == ["geometry_places"]


def test_image_any(tmp_path: Path) -> None:
    path = written(tmp_path, "f", b"GIF89a" + bytes(20))
    assert not_taken(tmp_path, "image", path) == [
        "expected one of dicom, jpeg, png, tiff, wsidicom, got a GIF"
    ]


def test_image_damaged(tmp_path: Path) -> None:
    assert ids(not_taken(tmp_path, "image", written(tmp_path, "f", png()[:20]))) == ["image_damaged"]


def test_image_zip_formats(tmp_path: Path) -> None:
    kind = {"id": "image", "formats": ["png"]}
    assert not_taken(tmp_path, kind, written(tmp_path, "f", slide())) == ["expected png, got a zip"]


def test_image_zip_folder(tmp_path: Path) -> None:
    path = written(tmp_path, "f", slide({"level/": b"", "level/a": dicom()}))
    assert given(tmp_path, "image", path) == ["image_zip_folder"]


@pytest.mark.parametrize("data", [tiff(samples=1), tiff(tile=256)])
def test_image_tiff_kind(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, "f", data)
    assert given(tmp_path, {"id": "image", "formats": ["tiff"]}, path) == ["image_tiff_kind"]
    assert given(tmp_path / "2", "image", path) == []


def test_image_bigtiff(tmp_path: Path) -> None:
    path = written(tmp_path, "f", tiff(big=True))
    assert given(tmp_path, {"id": "image", "formats": ["tiff"]}, path) == ["image_bigtiff"]
    assert given(tmp_path / "2", "image", path) == []


@pytest.mark.parametrize("data", [dicom(), tiff(big=True)])
def test_image_size_unread(tmp_path: Path, data: bytes) -> None:
    path = written(tmp_path, "f", data)
    assert given(tmp_path, {"id": "image", "max_width": 99}, path) == ["image_size_unread"]
    assert given(tmp_path / "2", {"id": "image", "max_width": 99}, written(tmp_path, "j", jpeg())) == []


def test_image_folder_nested(tmp_path: Path) -> None:
    found = collected(tmp_path, "image", {"o/level/a": dicom()})
    assert (found.problems, ids(found.warnings)) == ((), ["image_folder_nested"])


def test_image_folder_array(tmp_path: Path) -> None:
    kind = {"id": "array", "subtype": "image"}
    found = collected(tmp_path, kind, {"o/array.yml": "size: 1", "o/0/a": dicom()})
    assert (found.problems, ids(found.warnings)) == ((), ["image_folder_array"])


# -- the run --------------------------------------------------------------------------------------


def test_exit_code(tmp_path: Path) -> None:
    def fail(container: FakeContainer) -> int:
        container.path("/outputs/sum").write_text("7")
        return 3

    with make_environment(tmp_path, fail) as env:
        record = env.run(assignments=("a=3", "b=4"))
    assert (record.state, record.cause) == (TaskState.FAILED, str(Cause.EXIT_NONZERO))
    assert record.outputs == {"sum": 7}


def test_output_missing(tmp_path: Path) -> None:
    with make_environment(tmp_path, lambda _: 0) as env:
        record = env.run(assignments=("a=3", "b=4"))
    assert (record.state, record.cause) == (TaskState.FAILED, str(Cause.OUTPUTS_INVALID))


def test_output_extra(tmp_path: Path) -> None:
    found = collected(tmp_path, "integer", {"o": "1", "notes.txt": "x"})
    assert (found.problems, ids(found.warnings)) == ((), ["output_extra"])


def test_a_descriptor_that_pleases_both_is_not_warned_of() -> None:
    every = ["boolean", "integer", "number", "string", "datetime", "geometry", "file", "image", BOUNDED]
    inputs = {f"x{number}": kind for number, kind in enumerate(every)}
    text = json.dumps(as_json(inputs, {"o": "integer"})).encode()
    try:
        assert descriptor.read(text).warnings == ()
    except DescriptorError as error:
        pytest.fail(str(error))
