"""Options and values of the Python API."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from localrun.api.options import plain, split_inputs


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(5), 5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(5), 5),
        (np.arange(3), [0, 1, 2]),
        ([np.int16(1), (np.bool_(False),)], [1, [False]]),
        ({"coordinates": np.zeros((1, 2))}, {"coordinates": [[0.0, 0.0]]}),
        ("x", "x"),
        (None, None),
    ],
)
def test_values_of_numpy_become_values_of_python(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_values_of_inputs_are_converted_wherever_they_are_given() -> None:
    assert split_inputs({"a": np.int64(1)}, {"b": np.array([2])}) == ({"a": 1, "b": [2]}, None)
    values, folder = split_inputs(".", {"b": np.bool_(True)})
    assert (values, str(folder)) == ({"b": True}, ".")
