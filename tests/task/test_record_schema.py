"""The JSON Schema of records accepts all that localrun writes and has written."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from localrun.console.results import as_fields
from localrun.engines.fake import FakeContainer
from localrun.errors import Cause, TaskNotFound
from localrun.task.record import TaskRecord
from localrun.task.record_schema import schema
from tests.support.environment import make_environment

OLD = Path(__file__).parents[1] / "data" / "home-0.1.0"
RECORDS = [OLD / "every-field.json", *sorted(OLD.glob("home/tasks/*/task.json"))]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def run(container: FakeContainer) -> int:
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0 if a else 3


@pytest.mark.parametrize("file", RECORDS, ids=lambda file: file.parent.name[:8])
def test_old_records_are_valid_as_they_are_and_when_they_are_written_again(
    file: Path, validator: jsonschema.Draft202012Validator
) -> None:
    validator.validate(json.loads(file.read_bytes()))
    written = json.loads(TaskRecord.from_json(file.read_bytes()).to_json())
    validator.validate(written)
    assert written["format"] == 1


def test_records_of_all_kinds_are_valid_also_in_the_output_of_json(
    tmp_path: Path, validator: jsonschema.Draft202012Validator
) -> None:
    with make_environment(tmp_path, run) as env:
        env.run(values={"a": 3, "b": 4}, timeout=60, network=True)
        assert env.run(values={"a": 0, "b": 4}).cause == str(Cause.EXIT_NONZERO)
        env.run(values={"a": 3, "b": 4}, replicas=2)
        env.app.manager.create_task({"any": "task"}, "ray")
        folders = list(env.app.store.tasks.iterdir())
        assert len(folders) == 6  # with two replicas
        for folder in folders:
            found = json.loads((folder / "task.json").read_bytes())
            assert next(iter(found)) == "format"
            validator.validate(found)
            printed = json.loads(json.dumps(as_fields(env.app.store.open(folder.name).load())))
            validator.validate(printed)


def test_every_field_is_in_the_schema_and_wrong_types_are_found(
    validator: jsonschema.Draft202012Validator,
) -> None:
    whole: dict[str, Any] = json.loads((OLD / "every-field.json").read_bytes())
    properties = schema()["properties"]
    assert set(whole) <= set(properties)
    for key in ("state", "inputs", "history", "network", "format"):
        wrong = copy.deepcopy(whole) | {key: "wrong" if key != "format" else 2}
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(wrong)


def test_a_record_of_a_newer_format_is_not_called_damaged(tmp_path: Path) -> None:
    with make_environment(tmp_path, run) as env:
        record = env.run(values={"a": 3, "b": 4})
        workspace = env.app.store.open(record.id)
        file = workspace.path / "task.json"
        file.write_bytes(file.read_bytes().replace(b'"format":1', b'"format":2'))
        with pytest.raises(
            TaskNotFound, match=r"newer version of localrun \(format 2 of records\)"
        ) as caught:
            workspace.load()
    assert caught.value.remedy == "update localrun"
