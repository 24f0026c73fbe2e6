from __future__ import annotations

import pytest

from localrun import descriptor
from localrun.descriptor.synthetic import describe_image
from localrun.errors import UsageError


def test_a_bare_image_is_described_by_the_types_of_its_inputs() -> None:
    text = describe_image(
        "busybox", {"n": 1, "x": 1.5, "ok": True, "name": "a", "xs": [1, 2]}, {"sum": "integer"}
    )
    found = descriptor.read(text)
    kinds = {name: parameter.type.id for name, parameter in found.inputs.items()}
    assert kinds == {"n": "integer", "x": "number", "ok": "boolean", "name": "string", "xs": "array"}
    assert found.outputs["sum"].type.id == "integer"


def test_an_input_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        describe_image("busybox", {"x": {"a": 1}}, {})
    assert caught.value.problems[0].path == "inputs.x"
