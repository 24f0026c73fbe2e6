"""Truth values that can be called."""

from __future__ import annotations

import json

import pytest

from localrun.api.flag import Flag


@pytest.mark.parametrize("value", [True, False])
def test_it_is_the_value_and_returns_it(value: bool) -> None:
    flag = Flag(value)
    assert flag == value
    assert flag() is value
    assert bool(flag) is value
    assert (repr(flag), str(flag), f"{flag}", f"{flag:>6}") == (
        str(value), str(value), str(value), f"{value!s:>6}",
    )  # fmt: skip
    assert {flag: 1} == {value: 1}
    assert json.loads(json.dumps(flag)) == value
