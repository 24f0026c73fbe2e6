"""The functions that a new program writes its outputs with."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from localrun.bundle.scaffold import template

PLAIN = datetime(2024, 2, 23, 18, 0, 0)


@pytest.fixture(scope="module")
def parameters() -> ModuleType:
    module = ModuleType("parameters")
    exec(template.render("adder").files["program/parameters.py"], module.__dict__)
    return module


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("integer", 41, "41"),
        ("integer", 42.0, "42"),
        ("integer", np.int64(41), "41"),
        ("integer", np.float32(7), "7"),
        ("number", np.float32(0.5), "0.5"),
        ("number", 3, "3.0"),
        ("boolean", np.bool_(1), "true"),
        ("string", np.str_("a"), "a"),
        ("geometry", {"x": np.int64(1), "y": np.array([1.5, 2])}, '{"x": 1, "y": [1.5, 2.0]}'),
    ],
)
def test_values_of_numpy_are_written_like_those_of_python(
    parameters: ModuleType, tmp_path: Path, kind: str, value: Any, text: str
) -> None:
    getattr(parameters, f"write_{kind}")(tmp_path / "x", value)
    assert (tmp_path / "x").read_text() == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("integer", 41.9, r"expected an integer, found 41.9 \(float\)"),
        ("integer", np.float64(41.9), r"expected an integer, found .*41\.9\)? \(numpy.float64\)"),
        ("integer", True, "expected an integer, found True"),
        ("integer", np.bool_(1), "expected an integer"),
        ("integer", "41", r"expected an integer, found '41' \(str\)"),
        ("integer", float("inf"), "expected an integer"),
        ("integer", np.array([1]), "expected an integer"),
        ("integer", None, "expected an integer, found None"),
        ("number", float("nan"), "expected a finite number"),
        ("number", np.float32("inf"), "expected a finite number"),
        ("number", "0.5", "expected a finite number"),
        ("boolean", "false", "expected True or False"),
        ("boolean", 0, "expected True or False"),
        ("string", 5, "expected a string"),
        ("datetime", PLAIN, "expected a datetime with a time zone"),
        ("geometry", {"x": {1}}, "expected GeoJSON"),
        ("file", "text", "expected bytes, or the Path of a file"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_the_output(
    parameters: ModuleType, tmp_path: Path, kind: str, value: Any, message: str
) -> None:
    for expected in (TypeError, ValueError):
        with pytest.raises(expected, match=f"{tmp_path}/x: {message}"):
            getattr(parameters, f"write_{kind}")(tmp_path / "x", value)
    assert not (tmp_path / "x").exists()


def test_the_items_of_an_array_are_checked_and_a_string_is_no_array(
    parameters: ModuleType, tmp_path: Path
) -> None:
    write = parameters.write_array(parameters.write_integer)
    write(tmp_path / "xs", np.array([1, 2]))
    assert (tmp_path / "xs/array.yml").read_text() == "size: 2"
    with pytest.raises(ValueError, match=r"ys/1: expected an integer, found 0\.5"):
        write(tmp_path / "ys", [1, 0.5])
    with pytest.raises(ValueError, match="zs: expected a list, found '12'"):
        write(tmp_path / "zs", "12")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ('{"sum": 1, "totl": 2}', "run() returned unknown outputs: totl; expected: sum\n"),
        ("41", "run() must return the outputs by name in a dict, not 41\n"),
    ],
)
def test_an_unknown_output_is_an_error_without_a_traceback(tmp_path: Path, result: str, message: str) -> None:
    made = template.render("adder")
    for name in ("main", "parameters"):
        text = made.files[f"program/{name}.py"].decode()
        text = text.replace('"/inputs"', repr(str(tmp_path))).replace('"/outputs"', repr(str(tmp_path)))
        start, _, _ = text.partition("    return {\n")
        if name == "main":
            end = text.partition("\ndef main():")[2]
            text = f"{start}    return {result}\n\n\ndef main():{end}"
        (tmp_path / f"{name}.py").write_text(text)
    ended = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (1, message)
