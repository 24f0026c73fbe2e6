"""New bundles run without changes and produce the outputs that their test expects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun import descriptor, values
from localrun.bundle.images.build import build_labels
from localrun.bundle.scaffold import template
from localrun.bundle.scaffold.examples import example_image
from localrun.bundle.scaffold.grammar import ParameterSpec, parse
from localrun.descriptor.types import TYPES
from localrun.engines.dockerd import DockerEngine
from localrun.errors import Problem, UsageError
from localrun.values.digest import digest_folder
from tests.conftest import ROOT, skip_or_fail
from tests.support.session import remove_at_end

BASE = "localrun-base/python"
SIMPLE = [name for name in TYPES if name not in ("array", "enumeration")]
EVERY = [
    *SIMPLE,
    "enumeration(small,large one)",
    "array<integer>",
    "array<array<number>>",
    "array<image>",
    "array<geometry>",
    "array<enumeration(a,b)>",
]


def texts(kinds: list[str]) -> list[str]:
    return [f"p{number}:{kind}" for number, kind in enumerate(kinds)]


def problems(*inputs: str, outputs: tuple[str, ...] = ()) -> dict[str, Problem]:
    with pytest.raises(UsageError) as raised:
        template.render("new", inputs, outputs)
    return {problem.path: problem for problem in raised.value.problems}


# -- the grammar ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x:integer", "integer"),
        (" x : integer ", "integer"),
        ("x:array<integer>", {"id": "array", "subtype": "integer"}),
        ("x:enumeration(a, b c)", {"id": "enumeration", "values": ["a", "b c"]}),
        (
            "x:array<array<file>>",
            {"id": "array", "subtype": {"id": "array", "subtype": "file", "min_size": 0, "max_size": 100}},
        ),
    ],
)
def test_a_parameter_is_a_name_and_a_type(text: str, kind: Any) -> None:
    found: list[Problem] = []
    assert parse([text], "--input", found) == [ParameterSpec("x", kind)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("x:integr", "unknown type 'integr'", "did you mean 'integer'?"),
        ("x:array<integr>", "unknown type 'integr'", "did you mean 'integer'?"),
        ("x:enumeratio(a)", "unknown type 'enumeratio(a)'", "did you mean 'enumeration'?"),
        ("x:array", "array without an item type", "expected e.g. array<integer>"),
        ("x:enumeration", "enumeration without values", "expected e.g. enumeration(small,large)"),
        ("x:enumeration()", "invalid enumeration value", "use 1 to 256 printable"),
        ("x:enumeration(a,a)", "duplicate enumeration value", "remove one"),
        ("x:integer<3>", "unknown type 'integer<3>'", "expected e.g. integer, array<number>"),
        ("x:" + "array<" * 50 + "file" + ">" * 50, "arrays are nested more than 8 levels deep", "use fewer"),
        ("x", "missing type", "expected e.g. x:integer"),
        ("a b:file", "invalid parameter name 'a b'", "use only letters, digits and _"),
        (":file", "invalid parameter name ''", "use only letters, digits and _"),
    ],
)
def test_what_is_not_understood_is_told_with_a_way_to_write_it(text: str, message: str, remedy: str) -> None:
    found = problems(text)[f"--input {text}"]
    assert found.message == message
    assert found.remedy.startswith(remedy)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(problems("a:integr", "b", "c:file", "c:file", outputs=("d:x",))) == 4


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_is_written_only_a_usage_error_comes_out(given_texts: list[str]) -> None:
    try:
        made = template.render("new", given_texts, given_texts)
    except UsageError:
        return
    assert descriptor.read(made.files["descriptor.yml"]).inputs


# -- what is written ------------------------------------------------------------------------------


def test_without_a_wish_it_adds_two_integers() -> None:
    found = descriptor.read(template.render("adder").files["descriptor.yml"])
    assert (list(found.inputs), list(found.outputs)) == (["a", "b"], ["sum"])
    assert found.warnings == ()


@pytest.mark.parametrize("kind", EVERY)
def test_each_type_makes_a_descriptor_that_app_engine_would_accept(kind: str) -> None:
    made = template.render("new", [f"x:{kind}"], [f"y:{kind}"])
    found = descriptor.read(made.files["descriptor.yml"])
    assert (found.warnings, made.warnings) == ((), ())
    assert found.inputs["x"].type == found.outputs["y"].type
    compile(made.files["program/main.py"], "main.py", "exec")


def test_what_app_engine_would_refuse_is_told() -> None:
    (warning,) = template.render("new", [], ["ds:array<datetime>"]).warnings
    assert "cannot read a datetime in an output array" in warning


@pytest.mark.parametrize(
    ("name", "called", "namespace"),
    [
        ("count-cells", "count-cells", "com.example.count_cells"),
        ("Zähle.Zellen!", "Z hle Zellen", "com.example.z_hle_zellen"),
        ("a", "Task a", "com.example.a"),
        ("日本", "Task", "com.example.task"),
        ("x" * 80, "x" * 30, f"com.example.{'x' * 80}"),
    ],
)
def test_any_name_of_a_folder_becomes_a_name_and_a_namespace(name: str, called: str, namespace: str) -> None:
    found = descriptor.read(template.render(name).files["descriptor.yml"])
    assert (found.name, found.namespace) == (called, namespace)


@pytest.mark.parametrize("name", ["class", "yes", "1", "inputs", "None", "null", "_", "y", "run"])
def test_any_name_of_a_parameter_may_be_a_word_of_yaml_or_python(name: str) -> None:
    made = template.render("new", [f"{name}:integer"], [f"{name}:integer"])
    assert list(descriptor.read(made.files["descriptor.yml"]).inputs) == [name]
    compile(made.files["program/main.py"], "main.py", "exec")


def test_a_namespace_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        template.render("new", namespace="a b")
    assert raised.value.problems[0].path == "namespace"


def test_only_one_side_given_fills_the_other() -> None:
    one = descriptor.read(template.render("new", ["x:file"]).files["descriptor.yml"])
    other = descriptor.read(template.render("new", [], ["x:file"]).files["descriptor.yml"])
    assert (list(one.outputs), list(other.inputs)) == (["result"], ["text"])


def test_the_example_picture_is_a_png() -> None:
    data = example_image()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")


@pytest.mark.parametrize("outputs", [texts(EVERY), [f"{name}:{name}" for name in SIMPLE]])
def test_the_program_gives_what_is_expected(tmp_path: Path, outputs: list[str]) -> None:
    """Run the program without a container, on folders of this test."""
    inputs = texts(EVERY) if len(outputs) == len(EVERY) else ["text:string"]
    template.write(template.render("new", inputs, outputs), tmp_path / "new")
    lay_out(tmp_path)
    main = tmp_path / "new" / "program" / "main.py"
    text = main.read_text()
    main.write_text(
        text.replace('"/inputs"', repr(str(tmp_path / "in"))).replace(
            '"/outputs"', repr(str(tmp_path / "out"))
        )
    )
    done = subprocess.run([sys.executable, str(main)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        name.partition(":")[0] for name in outputs
    )


def lay_out(folder: Path) -> None:
    """Write the example inputs into the input folder of the program."""
    from localrun import values

    found = descriptor.read((folder / "new" / "descriptor.yml").read_bytes())
    (folder / "in").mkdir()
    (folder / "out").mkdir()
    given_values = values.load_values(folder / "new" / "inputs.json")
    values.provision(found, given_values, folder / "in", copy=True)


def test_the_example_folder_has_the_same_inputs_as_the_file_of_values(tmp_path: Path) -> None:
    from localrun import values

    # Given a bundle with inputs of every type
    inner = "array<array<integer>>"
    kinds = ("integer", "number", "boolean", "string", "datetime", "geometry", "file", "image", inner)
    inputs = [
        *(f"p{index}:{kind}" for index, kind in enumerate(kinds)),
        "xs:array<image>",
        "mode:enumeration(a,b)",
    ]
    template.write(template.render("new", inputs), tmp_path / "new")
    found = descriptor.read((tmp_path / "new/descriptor.yml").read_bytes())

    # When the task gets the inputs from the folder, and from the file
    folder = values.read_folder(tmp_path / "new/examples/inputs", found)
    assert (folder.problems, folder.unknown) == ((), ())
    values.provision(found, folder.values, tmp_path / "one", copy=True)
    values.provision(found, values.load_values(tmp_path / "new/inputs.json"), tmp_path / "two", copy=True)

    # Then they are the same
    assert digest_folder(tmp_path / "one").files == digest_folder(tmp_path / "two").files


# -- on disk --------------------------------------------------------------------------------------


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    template.write(template.render("new"), folder)
    assert (folder / "descriptor.yml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def make_file(folder: Path) -> None:
    (folder / "new").write_text("mine")


def make_filled(folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "mine").write_text("mine")


def make_link(folder: Path) -> None:
    (folder / "else").mkdir()
    (folder / "new").symlink_to("else")


@pytest.mark.parametrize("occupy", [make_file, make_filled, make_link])
def test_what_is_there_already_is_not_touched(tmp_path: Path, occupy: Any) -> None:
    occupy(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="new") as raised:
        template.write(template.render("new"), tmp_path / "new")
    assert raised.value.remedy
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        template.write(template.render("new"), tmp_path / "none" / "new")
    assert list(tmp_path.iterdir()) == []


# -- on a real engine -----------------------------------------------------------------------------


@pytest.fixture
def new(docker_engine: DockerEngine, tmp_path: Path) -> Iterator[Path]:
    """Yield the path of a new bundle; remove its image afterwards."""
    if docker_engine.find_image(BASE) is None:
        skip_or_fail(f"there is no image {BASE} (make base)")
    folder = tmp_path / "new"
    yield folder
    for found in docker_engine.images(build_labels(folder.resolve())):
        remove_at_end(*found.tags)


@pytest.mark.docker
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        pytest.param([], [], id="standard"),
        pytest.param(texts(EVERY), texts(EVERY), id="every type passed on"),
        pytest.param(
            [], [f"{name}:{name}" for name in SIMPLE], id="every type made up", marks=pytest.mark.slow
        ),
    ],
)
def test_its_own_test_passes_as_it_is(new: Path, inputs: list[str], outputs: list[str]) -> None:
    template.write(template.render("new", inputs, outputs), new)
    done = run_its_tests(new)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.docker
def test_the_test_of_a_new_app_passes_as_it_is(new: Path) -> None:
    template.write(template.render_app("new"), new)
    done = run_its_tests(new)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.docker
def test_its_own_test_writes_down_what_came_out(new: Path) -> None:
    template.write(template.render("new", ["picture:image"], ["picture:image", "size:integer"]), new)
    done = run_its_tests(new, "--localrun-update")
    assert done.returncode == 0, done.stdout
    assert json.loads((new / "expected.json").read_text())["picture"] == "@expected/picture.png"
    assert (new / "expected/picture.png").read_bytes() == example_image()
    assert "new expectations" not in run_its_tests(new, "--localrun-update").stdout


def run_its_tests(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a new bundle like its user."""
    given_options = ["--localrun-build-arg", f"BASE_IMAGE={BASE}", "--localrun-required", "yes", *options]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", *given_options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LOCALRUN_CACHE": str(folder.parent / "c")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_two_geometries_of_the_example_are_equal_and_all_lie_on_the_example_image(tmp_path: Path) -> None:
    # Given all kinds of geometries next to an image
    kinds = ["image", "geometry", "geometry", "array<geometry>", "array<array<geometry>>"]
    made = template.render("new", [f"x{number}:{kind}" for number, kind in enumerate(kinds)])
    template.write(made, tmp_path / "new")

    # When the inputs of the example are written
    found = descriptor.read(made.files["descriptor.yml"])
    given = values.load_values(tmp_path / "new/inputs.json")
    warnings = values.provision(found, given, tmp_path / "inputs").warnings

    # Then nothing is reported, and no point is there twice
    assert warnings == ()
    for number in (3, 4):
        points = sorted((tmp_path / f"inputs/x{number}").rglob("[0-9]"))
        texts = [point.read_text() for point in points if point.is_file()]
        assert len(texts) == len(set(texts)) == 2 * (number - 2)


def test_the_program_says_where_the_origin_of_geometries_is() -> None:
    program = template.render("new", ["x:geometry"]).files["program/parameters.py"].decode()

    assert "row = height - y" in program
    assert "y = height - row" in program
