"""What rows are recognised by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.batch.identity import Identifier, shared_identity
from localrun.batch.rows import Row
from localrun.manager.request import Request
from localrun.values import FileValue
from tests.batch.test_local import BATCH
from tests.batch.test_table import DESCRIBED


def digest(tmp_path: Path, values: dict[str, Any], image: str = "i", **options: Any) -> str:
    request = Request(tmp_path, **options)
    shared = shared_identity(request, DESCRIBED, image)
    return Identifier(BATCH, shared, request, DESCRIBED, tmp_path / "cache").identify(Row(1, values)).digest


def test_the_digest_depends_on_values_and_contents_not_on_their_form(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
    (tmp_path / "c").write_text("other")
    first = digest(tmp_path, {"a": 1, "file": tmp_path / "a"})
    assert digest(tmp_path, {"file": FileValue(tmp_path / "b"), "a": 1}) == first
    assert digest(tmp_path, {"file": tmp_path / "b"}, assignments=("a=1",)) == first
    assert digest(tmp_path, {"a": 1, "file": tmp_path / "c"}) != first
    assert digest(tmp_path, {"a": 2, "file": tmp_path / "a"}) != first
    assert digest(tmp_path, {"a": 1}) != first


@pytest.mark.parametrize(
    "options",
    [
        {"image": "other"},
        {"network": True},
        {"gpus": 1},
        {"command": ["x"]},
        {"hardened": True},
        {"replicas": 3},
    ],
)
def test_the_digest_depends_on_what_changes_a_result(tmp_path: Path, options: dict[str, Any]) -> None:
    assert digest(tmp_path, {"a": 1}, **options) != digest(tmp_path, {"a": 1})


@pytest.mark.parametrize(
    "options", [{"memory": 2**30}, {"cpus": 2.0}, {"timeout": 1.0}, {"retries": 3}, {"metadata": {"k": 1}}]
)
def test_the_digest_does_not_depend_on_limits(tmp_path: Path, options: dict[str, Any]) -> None:
    assert digest(tmp_path, {"a": 1}, **options) == digest(tmp_path, {"a": 1})


def test_equal_rows_are_counted(tmp_path: Path) -> None:
    identifier = Identifier(BATCH, {}, Request(tmp_path), DESCRIBED, tmp_path)
    found = [identifier.identify(Row(number, {"a": number % 2})) for number in range(5)]
    assert [row.occurrence for row in found] == [0, 0, 1, 1, 2]
    assert len({row.key for row in found}) == 5


def test_a_file_that_is_gone_does_not_keep_other_rows_from_running(tmp_path: Path) -> None:
    assert digest(tmp_path, {"a": 1, "file": tmp_path / "gone"}) != digest(tmp_path, {"a": 1})
