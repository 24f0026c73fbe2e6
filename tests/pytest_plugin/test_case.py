"""Test cases: one test per folder, reported differences, and updated expectations."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import localrun.pytest_plugin.case
import localrun.pytest_plugin.fake  # noqa: F401 - what is imported before stays the same in the sessions within
from tests.support.environment import DESCRIPTOR
from tests.values.test_input_folder import fill

OUTPUTS = """\
outputs:
  sum: {type: integer, description: d, display_name: Sum}
  mean: {type: number, description: d, display_name: Mean}
  mask: {type: image, description: d, display_name: Mask}
  place: {type: geometry, description: d, display_name: Place}
  words: {type: {id: array, subtype: file}, description: d, display_name: Words}
"""
TEST = """
import json, pathlib

def test_case(fake_engine, localrun_case):
    folder = pathlib.Path(__file__).parent / "gives"
    outputs = json.loads((folder / "values.json").read_text())
    outputs["mask"] = folder / "mask.png"
    outputs["words"] = [text.encode() for text in outputs["words"]]
    fake_engine.plan(outputs=outputs)
    localrun_case.check()
"""
GIVEN: dict[str, Any] = {
    "sum": 7,
    "mean": 3.5,
    "place": {"type": "Point", "coordinates": [1, 2]},
    "words": ["a\n", "b\n"],
}


def picture(level: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.zeros((4, 5), dtype=np.uint8)
    pixels[1, 2] = level
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


def marked(marker: str) -> str:
    return TEST.replace("def test_case", f"import pytest\n\n@pytest.mark.{marker}\ndef test_case")


class Cases:
    """A project whose task outputs the content of a file."""

    def __init__(self, project: pytest.Pytester) -> None:
        self.project = project
        self.folder = project.path / "cases"
        # not below the bundle, whose digest would cover the files of a parallel test
        self.basetemp = project.path.with_name(f"{project.path.name}-basetemp")
        head, _, _ = DESCRIPTOR.partition("outputs:\n")
        (project.path / "descriptor.yml").write_text(head + OUTPUTS)
        project.makepyfile(TEST)
        self.give()

    def give(self, level: int = 200, **changes: Any) -> None:
        folder = self.project.path / "gives"
        folder.mkdir(exist_ok=True)
        (folder / "values.json").write_text(json.dumps({**GIVEN, **changes}))
        (folder / "mask.png").write_bytes(picture(level))

    def add(self, name: str, **files: Any) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True)
        for file, content in {"inputs": {"a": 3, "b": 4}, **files}.items():
            (folder / f"{file}.json").write_text(json.dumps(content))
        return folder

    def run(self, *options: str) -> pytest.RunResult:
        return self.project.runpytest("--basetemp", str(self.basetemp), *options)


@pytest.fixture
def cases(project: pytest.Pytester) -> Cases:
    return Cases(project)


def test_each_folder_is_a_test_with_its_name(cases: Cases) -> None:
    cases.add("small", expected={"sum": 7})
    cases.add("large/dark", expected={"sum": 7, "mean": 3.5, "place": GIVEN["place"]})
    result = cases.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_case[[]large/dark]*PASSED*", "*test_case[[]small]*PASSED*"])


def test_the_inputs_of_the_case_are_given(cases: Cases) -> None:
    (cases.add("one", inputs={"a": "@a.txt", "b": 4}, expected={}) / "a.txt").write_text("30")
    cases.project.makepyfile(
        """
        def test_case(fake_engine, localrun_case, localrun):
            fake_engine.plan(lambda container: 1)
            try:
                localrun_case.run()
            except AssertionError:
                pass
            assert localrun.last.info.inputs == {"a": 30, "b": 4}
            assert (localrun_case.name, localrun_case.folder.name) == ("one", "one")
        """
    )
    cases.run().assert_outcomes(passed=1)


FOLDER_TEST = """
def test_case(fake_engine, localrun_case, localrun):
    fake_engine.plan(lambda container: 1)
    try:
        localrun_case.run()
    except AssertionError:
        pass
    assert localrun.last.info.inputs == {"a": 30, "b": 4}
"""


def test_a_case_may_have_a_folder_of_inputs(cases: Cases) -> None:
    fill(cases.folder / "one", {"inputs/a": "30", "inputs/b": "4", "expected.json": "{}"})
    fill(cases.folder / "new", {"inputs/a": "30", "inputs/b": "4"})
    cases.project.makepyfile(FOLDER_TEST)
    result = cases.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_case[[]new]*", "*test_case[[]one]*"])


def test_a_folder_with_inputs_and_expected_outputs_is_one_case(cases: Cases) -> None:
    fill(cases.folder, {"inputs/a": "30", "inputs/b": "4", "expected.json": "{}"})
    cases.project.makepyfile(FOLDER_TEST)
    cases.run().assert_outcomes(passed=1)


def test_a_folder_of_files_that_cases_share_is_no_case(cases: Cases) -> None:
    fill(cases.folder, {"inputs/a.txt": "30", "one/inputs/more.txt": "x"})
    (cases.folder / "one/inputs.json").write_text('{"a": "@../inputs/a.txt", "b": 4}')
    cases.project.makepyfile(FOLDER_TEST)
    result = cases.run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_case[[]one]*"])


def test_every_difference_is_reported_and_an_image_of_it_is_saved(cases: Cases) -> None:
    # Given a case that differs from the task in every output
    folder = cases.add(
        "small",
        expected={
            "sum": 8,
            "mean": 3.4,
            "mask": "@mask.png",
            "place": {"type": "Point", "coordinates": [1, 3]},
            "words": ["@a.txt", "@b.txt"],
        },
    )
    (folder / "mask.png").write_bytes(picture(100))
    (folder / "a.txt").write_text("a\n")
    (folder / "b.txt").write_text("c\n")

    # When it is run
    result = cases.run()

    # Then every difference is reported
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *Mismatch: 5 values differ from */cases/small/expected.json",
            "E *outputs.sum: expected 8, got 7 (1 apart)",
            "E *outputs.mean: expected 3.4, got 3.5*",
            "E *outputs.mask: differs in 1 of 20 pixels (5 %), largest difference 100 at x=2, y=1",
            "E *image: */localrun/differences/small/mask.png",
            "E *outputs.place: the shapes are 1 apart",
            "E *image: */localrun/differences/small/place.svg",
            "E *outputs.words.1: differs from line 1 *",
            "E *-c",
            "E *+b",
            "E *pytest --localrun-update`",
        ]
    )
    result.stdout.no_fnmatch_line("*case.py:*")
    kept = cases.basetemp / "test_case_small_0" / "localrun" / "differences" / "small"
    assert sorted(path.name for path in kept.iterdir()) == ["mask.png", "place.svg"]


def test_differences_of_many_items_are_folded_and_not_counted_as_outputs(cases: Cases) -> None:
    cases.give(words=["a\n"] * 20)
    folder = cases.add("many", expected={"sum": 7, "words": ["@b.txt"] * 20})
    (folder / "b.txt").write_text("b\n")
    result = cases.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *Mismatch: 20 values differ in 1 output from */expected.json", "E *and 15 more like this"]
    )


def test_tolerances_are_those_of_the_case_and_of_the_folders_above(cases: Cases) -> None:
    cases.add("deep/near", expected={"sum": 8, "mean": 3.4}, tolerances={"sum": 1})
    cases.add("far", expected={"sum": 8, "mean": 3.4})
    (cases.folder / "tolerances.json").write_text(json.dumps({"mean": {"relative": 0.1}}))
    result = cases.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Mismatch: 1 value differs from */far/expected.json", "*outputs.sum*"])


def test_an_invalid_tolerance_is_reported(cases: Cases) -> None:
    cases.add("one", expected={"sum": 7}, tolerances={"som": 1, "mean": {"pixels": 1}})
    result = cases.run()
    result.stdout.fnmatch_lines(["*UsageError: invalid tolerances (2 problems)*", "*tolerances.som*'sum'?"])


def test_files_that_cannot_be_read_are_reported_with_their_names(cases: Cases) -> None:
    (cases.add("one", expected={"sum": 7}) / "tolerances.json").write_text("{")
    (cases.add("two", expected={"sum": 7}) / "tolerances.json").write_text("[]")
    (cases.add("three") / "expected.json").write_text("{")
    result = cases.run()
    result.assert_outcomes(failed=3)
    for name in ("one/tolerances", "two/tolerances", "three/expected"):
        result.stdout.fnmatch_lines([f"*/cases/{name}.json*"])


def test_a_case_without_an_expectation_fails_and_says_how_to_write_one(cases: Cases) -> None:
    cases.add("new")
    result = cases.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no expected.json in */cases/new; *--localrun-update*"])
    result.stdout.no_fnmatch_line("*localrun task*")  # nothing was run for it


def test_actual_outputs_become_the_expected_ones(cases: Cases) -> None:
    # Given a case for which nothing is expected yet
    folder = cases.add("new")

    # When it is updated
    cases.run("--localrun-update").assert_outcomes(passed=1)

    # Then all outputs are written, and from now on expected
    assert json.loads((folder / "expected.json").read_text()) == {
        "sum": 7,
        "mean": 3.5,
        "mask": "@expected/mask.png",
        "place": "@expected/place.geojson",
        "words": ["@expected/words/0", "@expected/words/1"],
    }
    assert (folder / "expected/mask.png").read_bytes() == picture(200)
    assert (folder / "expected/words/1").read_text() == "b\n"
    cases.run().assert_outcomes(passed=1)
    cases.give(mean=4)
    cases.run().assert_outcomes(failed=1)


def test_an_update_shows_what_differed_and_leaves_the_rest_as_it_is(cases: Cases) -> None:
    # Given an expectation that is near in one value, far in two, and with its own formatting
    folder = cases.add(
        "old",
        expected={
            "gone": 1,
            "mean": 3.4,
            "sum": 8,
            "mask": "@pictures/m.png",
            "place": {"type": "Point", "coordinates": [1.0, 2.0]},
            "words": ["@a.txt", "@a.txt"],
        },
        tolerances={"mean": 0.2, "words": {"ignore": True}},
    )
    (folder / "a.txt").write_text("a\n")
    (folder / "pictures").mkdir()
    (folder / "pictures/m.png").write_bytes(picture(100))

    # When it is updated
    result = cases.run("--localrun-update")

    # Then the far ones are updated in place, and shown
    result.assert_outcomes(passed=1)
    assert json.loads((folder / "expected.json").read_text()) == {
        "mean": 3.4,
        "sum": 7,
        "mask": "@pictures/m.png",
        "place": {"type": "Point", "coordinates": [1.0, 2.0]},
        "words": ["@a.txt", "@a.txt"],
    }
    assert (folder / "pictures/m.png").read_bytes() == picture(200)
    assert (folder / "a.txt").read_text() == "a\n"
    result.stdout.fnmatch_lines(
        [
            "*localrun: updated expectations*",
            "*/cases/old/expected.json: gone, sum, mask",
            "*outputs.sum: expected 8, got 7 (1 apart)",
            "*outputs.mask: differs in 1 of 20 pixels*",
        ]
    )


def test_workers_of_xdist_update_too_and_it_is_shown(cases: Cases) -> None:
    for name in ("one", "two"):
        cases.add(name, expected={"sum": 8})
    result = cases.run("--localrun-update", "-n", "2")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(
        ["*/cases/one/expected.json: sum, *", "*/cases/two/expected.json: sum, *"]
    )
    cases.run().assert_outcomes(passed=2)


def test_an_update_without_a_difference_writes_nothing(cases: Cases) -> None:
    folder = cases.add("new")
    cases.run("--localrun-update")
    before = (folder / "expected.json").stat().st_mtime_ns
    result = cases.run("--localrun-update")
    assert (folder / "expected.json").stat().st_mtime_ns == before
    result.stdout.no_fnmatch_line("*updated expectations*")


def test_an_update_writes_no_file_outside_of_its_case(cases: Cases) -> None:
    folder = cases.add("one", expected={"mask": "@../shared.png"})
    (cases.folder / "shared.png").write_bytes(picture(100))
    cases.run("--localrun-update").assert_outcomes(passed=1)
    assert json.loads((folder / "expected.json").read_text())["mask"] == "@expected/mask.png"
    assert (cases.folder / "shared.png").read_bytes() == picture(100)


def test_an_expected_file_that_is_missing_is_reported_and_an_update_writes_it(cases: Cases) -> None:
    folder = cases.add("one", expected={"sum": 7, "mask": "@m.png"})
    cases.run().stdout.fnmatch_lines(["*expected.mask: */m.png does not exist*"])
    cases.run("--localrun-update").assert_outcomes(passed=1)
    assert (folder / "m.png").read_bytes() == picture(200)


def test_a_failed_task_is_not_saved_as_expectation(cases: Cases) -> None:
    folder = cases.add("one", expected={"sum": 8})
    cases.give(mean="many")
    cases.run("--localrun-update").assert_outcomes(failed=1)
    assert json.loads((folder / "expected.json").read_text()) == {"sum": 8}


def test_the_marker_names_another_folder_which_may_be_a_case_itself(cases: Cases) -> None:
    cases.add("here", expected={"sum": 7})
    cases.folder.rename(cases.project.path / "elsewhere")
    cases.project.makepyfile(marked("localrun(cases='elsewhere/here')"))
    result = cases.run("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*test_case[[]here]*"])


def test_the_ini_file_names_another_folder_for_all(cases: Cases) -> None:
    cases.add("one", expected={"sum": 7})
    cases.folder.rename(cases.project.path / "examples")
    cases.project.makeini("[pytest]\nlocalrun_cases = examples\n")
    cases.run().assert_outcomes(passed=1)


def test_a_test_may_name_its_cases_itself(cases: Cases) -> None:
    cases.add("one", expected={"sum": 7})
    cases.add("two", expected={"sum": 8})
    path = "pathlib.Path('cases/one').absolute()"
    cases.project.makepyfile(marked(f"parametrize('localrun_case', [{path}], indirect=True)"))
    cases.run().assert_outcomes(passed=1)


def test_no_cases_are_an_error(cases: Cases) -> None:
    result = cases.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no cases in */cases; create a folder for each*"])


def test_a_case_without_inputs_is_an_error(cases: Cases) -> None:
    cases.add("one", expected={"sum": 7})
    (cases.add("two", expected={"sum": 7}) / "inputs.json").unlink()
    result = cases.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*no inputs.json in the case */cases/two*"])


# -- cases that must fail ---------------------------------------------------------------------------

FAILS = """
def test_case(fake_engine, localrun_case):
    fake_engine.plan(exit_code=3, stderr="the picture is torn")
    assert localrun_case.check() == {}
"""


@pytest.mark.parametrize(
    "failure",
    [
        {},
        {"cause": "EXIT_NONZERO"},
        {"cause": "EXIT_NONZERO", "exit_code": 3, "message": "picture is torn"},
    ],
)
def test_a_case_may_have_to_fail(cases: Cases, failure: dict[str, Any]) -> None:
    cases.add("torn", failure=failure)
    cases.project.makepyfile(FAILS)
    cases.run().assert_outcomes(passed=1)


def test_values_that_must_be_refused_are_a_case_too(cases: Cases) -> None:
    cases.add(
        "wrong",
        inputs={"a": "x"},
        failure={"cause": "INPUTS_INVALID", "message": "inputs.a: expected an integer"},
    )
    cases.run().assert_outcomes(passed=1)


def test_another_failure_than_the_expected_one_is_reported(cases: Cases) -> None:
    cases.add("torn", failure={"cause": "TIMEOUT", "exit_code": 4, "message": "too large"})
    cases.project.makepyfile(FAILS)
    result = cases.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *Mismatch: 3 values differ from */cases/torn/failure.json",
            "E *failure.cause: expected 'TIMEOUT', got 'EXIT_NONZERO'",
            "E *failure.exit_code: expected 4, got 3",
            "E *failure.message: neither the message nor the log contains 'too large'",
        ]
    )


def test_a_task_that_finishes_and_should_not_fails_the_test(cases: Cases) -> None:
    folder = cases.add("torn", failure={"cause": "EXIT_NONZERO"})
    for options in ((), ("--localrun-update",)):
        result = cases.run(*options)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*the task finished, but */failure.json expects it to fail"])
    assert json.loads((folder / "failure.json").read_text()) == {"cause": "EXIT_NONZERO"}


def test_an_update_writes_how_it_failed(cases: Cases) -> None:
    folder = cases.add("torn", failure={"cause": "TIMEOUT", "exit_code": 4, "message": "too large"})
    other = cases.add("new", failure={})
    cases.project.makepyfile(FAILS)
    result = cases.run("--localrun-update")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*/cases/torn/failure.json: cause, exit_code, message",
            "*failure.cause: expected 'TIMEOUT', got 'EXIT_NONZERO'",
        ]
    )
    for path in (folder, other):
        assert json.loads((path / "failure.json").read_text()) == {"cause": "EXIT_NONZERO", "exit_code": 3}
    cases.run().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "*failure.json*Expecting property name*"),
        ("[]", "*failure.json*expected an object*"),
        ('{"code": 3}', "*failure.json code: unknown key*"),
        ('{"cause": "TIME"}', "*failure.json cause: unknown cause 'TIME'*"),
    ],
)
def test_an_expected_failure_that_cannot_be_read_is_reported(cases: Cases, text: str, said: str) -> None:
    (cases.add("torn") / "failure.json").write_text(text)
    result = cases.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
