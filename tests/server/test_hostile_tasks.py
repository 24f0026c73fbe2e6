"""No value of a task's field is an internal error of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.manager.payload import _BUNDLE_FIELDS, _IEXEC_INPUTS, _IMAGE_FIELDS
from tests.support.server_client import add, serve_environment

FIELDS = sorted({*_BUNDLE_FIELDS, *_IMAGE_FIELDS, *_IEXEC_INPUTS, "profile"})
VALUES: list[Any] = [
    *("", "\0", "a\0b", "x" * 5000, "é" * 5000, "../..", "@\0", "~", "/dev/stdin", "@/dev/zero"),
    *("nan", "1e400", "9" * 400, None, True, -1, 0, 2**64 - 1, 1.5e300),
    *({}, [], {"a": {}}, [None], [["a"]], {"\0": "\0"}, {"": ""}, {"a": 2**63}, {"a": "9" * 400}),
]


@pytest.mark.parametrize("field", FIELDS)
def test_a_hostile_value_is_accepted_or_rejected(tmp_path: Path, field: str) -> None:
    with serve_environment(tmp_path, add) as env:
        iexec = {"profile": "iexec", "image": "x"}
        image = {"image": "x", "command": ["true"]}
        kinds = ((env.bundle(a=1, b=2), _BUNDLE_FIELDS), (image, _IMAGE_FIELDS), (iexec, _IEXEC_INPUTS))
        values = VALUES
        for base, known in kinds:
            is_known = field in (*known, "profile")
            for value in values if is_known else ["", {"a": {}}]:
                task = {**base, field: value}
                answer = env.client.post("/task", json={"task": task, "assigned_by": "ray"})
                assert answer.status_code in (200, 422), (task, answer.text)
            if is_known:
                values = VALUES[::4]  # the other kinds read the field with the same code
