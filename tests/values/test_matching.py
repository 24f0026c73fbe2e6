"""Matching arrays have the same number of items: inputs before the run, outputs after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.descriptor import Descriptor
from localrun.descriptor.divergences import divergence
from localrun.errors import InputsError
from localrun.values import CollectedOutputs
from tests.support.descriptors import make, parameter

ARRAY = {"id": "array", "subtype": "integer"}


def array(*matching: str, **more: Any) -> dict[str, Any]:
    dependencies = {"matching": list(matching)} if matching else {}
    return parameter(ARRAY, **({"dependencies": dependencies} if dependencies else {}), **more)


def lay(descriptor: Descriptor, folder: Path, **given: Any) -> values.ProvisionedInputs:
    return values.provision(descriptor, given, folder / "in")


def refused(descriptor: Descriptor, folder: Path, **given: Any) -> list[str]:
    with pytest.raises(InputsError) as caught:
        lay(descriptor, folder, **given)
    assert not (folder / "in").exists()
    return [str(problem) for problem in caught.value.problems]


def collected(descriptor: Descriptor, folder: Path, inputs: dict[str, Any], **sizes: int) -> CollectedOutputs:
    for name, size in sizes.items():
        place = folder / "out" / name
        place.mkdir(parents=True)
        (place / "array.yml").write_text(f"size: {size}")
        for index in range(size):
            (place / str(index)).write_text("5")
    return values.collect(descriptor, folder / "out", inputs)


def test_inputs_that_match_are_taken(tmp_path: Path) -> None:
    found = lay(make({"a": array(), "b": array("inputs/a")}), tmp_path, a=[1, 2], b=[3, 4])

    assert found.warnings == ()


def test_inputs_that_do_not_match_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    descriptor = make({"a": array(), "b": array("inputs/a")})

    assert refused(descriptor, tmp_path, a=[1, 2], b=[3]) == [
        "inputs.b: has 1 item, but must match inputs.a, which has 2; use the same number of items for both"
    ]


def test_a_match_is_mutual_and_passes_on(tmp_path: Path) -> None:
    # Given a that must match b, and b that must match c
    descriptor = make({"a": array("inputs/b"), "b": array("inputs/c"), "c": array()})

    # Then one that differs from the first is told, wherever the match is declared
    assert [one.partition(":")[0] for one in refused(descriptor, tmp_path, a=[1], b=[1], c=[1, 2])] == [
        "inputs.c"
    ]
    assert len(refused(descriptor, tmp_path, a=[1, 2, 3], b=[1], c=[1, 2])) == 2


def test_inputs_that_match_the_same_output_must_match_before_it_is_made(tmp_path: Path) -> None:
    descriptor = make({"a": array(), "b": array()}, {"o": array("inputs/a", "inputs/b")})

    assert len(refused(descriptor, tmp_path, a=[1], b=[])) == 1


def test_an_output_must_have_as_many_items_as_the_input_that_it_matches(tmp_path: Path) -> None:
    descriptor = make({"a": array()}, {"o": array("inputs/a")})

    assert collected(descriptor, tmp_path / "1", {"a": [1, 2]}, o=2).problems == ()
    found = collected(descriptor, tmp_path / "2", {"a": [1, 2]}, o=3)
    assert [str(one).partition(";")[0] for one in found.problems] == [
        "outputs.o: has 3 items, but must match inputs.a, which has 2"
    ]


def test_outputs_that_match_each_other_are_compared(tmp_path: Path) -> None:
    descriptor = make(None, {"o": array(), "p": array("outputs/o"), "q": array("outputs/p")})

    found = collected(descriptor, tmp_path, {"x": 5}, o=1, p=1, q=2)
    assert [problem.path for problem in found.problems] == ["outputs.q"]


def test_only_the_number_of_items_of_the_outermost_array_counts(tmp_path: Path) -> None:
    nested = parameter({"id": "array", "subtype": {**ARRAY, "min_size": 0, "max_size": 9}})
    descriptor = make({"a": nested, "b": array("inputs/a")})

    assert lay(descriptor, tmp_path, a=[[1], []], b=[1, 2]).values["a"] == [[1], []]


@pytest.mark.parametrize("reference", ["inputs/nothing", "nonsense", "inputs/x"])
def test_a_match_with_anything_but_an_array_does_not_count(tmp_path: Path, reference: str) -> None:
    descriptor = make({"x": "integer", "a": array(reference)})

    assert lay(descriptor, tmp_path, x=1, a=[1, 2]).values == {"x": 1, "a": [1, 2]}


def test_an_optional_input_that_is_left_out_matches_and_is_warned_of(tmp_path: Path) -> None:
    descriptor = make({"a": array(), "b": array("inputs/a", optional=True)})

    found = lay(descriptor, tmp_path, a=[1, 2])

    assert found.warnings == (divergence("matching_absent").format_warning("inputs.b"),)


def test_an_input_that_is_no_list_is_refused_once(tmp_path: Path) -> None:
    descriptor = make({"a": array(), "b": array("inputs/a")})

    assert len(refused(descriptor, tmp_path, a=[1], b=5)) == 1


def test_an_output_that_is_missing_is_not_compared(tmp_path: Path) -> None:
    descriptor = make({"a": array()}, {"o": array("inputs/a"), "p": array()})

    found = collected(descriptor, tmp_path, {"a": [1]}, p=0)
    assert [problem.message for problem in found.problems] == ["missing output"]


def test_an_output_that_is_derived_from_what_was_not_given_is_told(tmp_path: Path) -> None:
    output = parameter(ARRAY, dependencies={"derived_from": "inputs/a"})
    descriptor = make({"x": "integer", "a": parameter("image", optional=True)}, {"o": output})

    given = collected(descriptor, tmp_path / "1", {"x": 1, "a": "/scan.png"}, o=1)
    absent = collected(descriptor, tmp_path / "2", {"x": 1}, o=1)

    assert given.warnings == ()
    assert absent.warnings == ("outputs.o: derived from inputs.a, which is not set",)
