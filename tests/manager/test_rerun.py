"""A task once more: what is taken over from it, what is not, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.errors import BundleError, InputsError, UsageError
from localrun.manager.request import Request
from localrun.manager.rerun import changed_since, request_from
from localrun.task.record import RunPlan, TaskRecord
from localrun.task.workspace import Workspace
from tests.manager.test_takeover import add
from tests.support.environment import DESCRIPTOR, IMAGE, Desk, make_desk

WITH_FILES = DESCRIPTOR.replace(
    "  b: {type: integer, description: other, display_name: B}\n",
    "  f: {type: file, description: other, display_name: F}\n"
    "  fs: {type: {id: array, subtype: file}, description: more, display_name: Fs, optional: true}\n",
)


def again(desk: Desk, record: TaskRecord, **options: Any) -> tuple[Request, list[str]]:
    said: list[str] = []
    given = {"has_image": lambda image: desk.engine.find_image(image) is not None, **options}
    return request_from(record, Workspace(Path(record.folder)), said.append, **given), said


def copied(desk: Desk, tmp_path: Path) -> tuple[TaskRecord, Path]:
    """A task whose file input was copied: others may not read it."""
    desk.bundle.write_text(WITH_FILES)
    path = tmp_path / "given.txt"
    path.write_text("old")
    path.chmod(0o600)
    return desk.run(values={"a": 1, "f": path}), path


def test_bundle_values_and_options_are_those_of_the_task(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        asked: dict[str, Any] = {
            "values": {"a": 3, "b": 4},
            "timeout": 77.0,
            "cpus": 0.5,
            "network": True,
            "hardened": True,
            "writable_inputs": True,
            "retries": 2,
            "environment": {"X": "1"},
            "command": ["x"],
            "build_args": {"N": "V"},
        }
        record = desk.run(**asked)
        request, said = again(desk, record)
    assert request == Request(desk.bundle, image=IMAGE, pull="never", agree=1, **asked)
    assert said == []


def test_every_field_that_a_plan_and_a_request_share_is_taken_over() -> None:
    shared = {field for field in RunPlan.__struct_fields__ if field in Request.__struct_fields__}
    assert shared - {"bundle", "values", "detached"} <= {
        *("image", "build_args", "pull", "command", "environment"),
        *("writable_inputs", "hardened", "retries"),
        *("profile", "callback", "hostname", "replicas", "agree"),
    }, "say in `repeat` whether the new one is to be repeated, and here"


def test_limits_of_the_descriptor_are_left_to_it_as_it_is_now(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record = desk.run(values={"a": 3, "b": 4})
        request, _ = again(desk, record)
    assert (request.cpus, request.memory, request.gpus, request.network) == (None, None, None, None)


def test_an_input_that_is_given_anew_is_not_looked_for(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record, path = copied(desk, tmp_path)
        path.unlink()
        (Path(record.folder) / "inputs" / "f").unlink()
        assert again(desk, record, anew=["f"])[0].values == {"a": 1}


def test_of_a_file_that_has_changed_the_copy_is_used_and_that_is_said(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record, path = copied(desk, tmp_path)
        path.write_text("new")
        request, said = again(desk, record)
    assert request.values["f"] == Path(record.folder) / "inputs" / "f"
    assert said == [f"{path} has changed since: the copy of the task {record.id[:8]} is used"]


def test_of_a_file_that_is_gone_the_copy_is_used_and_that_is_said(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record, path = copied(desk, tmp_path)
        path.unlink()
        request, said = again(desk, record)
    assert request.values["f"].read_text() == "old"
    assert said == [f"{path} is gone: the copy of the task {record.id[:8]} is used"]


def test_a_copy_that_the_task_could_change_is_not_the_same_input(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        desk.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = desk.run(values={"a": 1, "f": path}, writable_inputs=True)
        path.write_text("new")
        request, said = again(desk, record)
    assert request.values["f"] == path
    assert said == [f"{path} has changed since the task {record.id[:8]}"]


def test_a_mounted_file_is_its_own_and_its_change_is_said(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        desk.bundle.write_text(WITH_FILES)
        path = tmp_path / "given.txt"
        path.write_text("old")
        record = desk.run(values={"a": 1, "f": path})
        request, said = again(desk, record)
        assert (request.values, said) == ({"a": 1, "f": path}, [])
        path.write_text("new")
        request, said = again(desk, record)
    assert request.values["f"] == path
    assert said == [f"{path} has changed since the task {record.id[:8]}"]


def test_every_file_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        desk.bundle.write_text(WITH_FILES)
        paths = [tmp_path / name for name in "xyz"]
        for path in paths:
            path.write_text("old")
        record = desk.run(values={"a": 1, "f": paths[0], "fs": paths[1:]})
        paths[0].unlink()
        paths[2].unlink()
        with pytest.raises(InputsError) as caught:
            again(desk, record)
    assert [problem.path for problem in caught.value.problems] == ["inputs.f", "inputs.fs/1"]
    assert caught.value.problems[0].remedy == "give it: -i f=@FILE"


def test_a_bundle_that_is_gone_is_replaced_by_what_the_task_had(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record = desk.run(values={"a": 3, "b": 4})
        desk.bundle.unlink()
        request, said = again(desk, record)
        assert (request.image, request.pull) == (record.image, "never")
        assert request.descriptor == DESCRIPTOR.encode()
        assert said == [
            f"{desk.bundle} is gone: the image and the descriptor of the task {record.id[:8]} are used"
        ]
        assert desk.app.manager.wait(desk.app.manager.submit(request)).outputs == {"sum": 7}  # type: ignore[union-attr]


def test_without_bundle_and_image_there_is_nothing_to_run(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record = desk.run(values={"a": 3, "b": 4})
        desk.bundle.unlink()
        with pytest.raises(
            BundleError, match=r"is gone, and the engine does not have the image sha256:\w+ any more"
        ):
            again(desk, record, has_image=lambda _: False)
        with pytest.raises(BundleError, match="never got as far as an image"):
            again(desk, record.replace(image=""))
        assert again(desk, record, has_image=lambda _: False, image="other:1")[0].image == "other:1"


def test_the_very_image_can_be_had_though_the_bundle_is_there(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record = desk.run(values={"a": 3, "b": 4})
        desk.bundle.write_text("changed: since")
        request, said = again(desk, record, same_image=True)
    assert (request.image, request.descriptor, said) == (record.image, DESCRIPTOR.encode(), [])


def test_a_task_of_a_repeated_task_can_be_repeated(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        record = desk.run(values={"a": 3, "b": 4})
        desk.bundle.unlink()
        for _ in range(2):
            request, _ = again(desk, record)
            record = desk.app.manager.wait(desk.app.manager.submit(request)) or record
    assert record.outputs == {"sum": 7}


def test_a_task_that_waited_for_inputs_is_repeated_with_those_that_it_had(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        payload = {"bundle": str(desk.bundle), "image": IMAGE, "inputs": {"a": 3}}
        task = desk.app.manager.create_task(payload)
        request, _ = again(desk, task.record)
    assert (task.record.state, request.values) == ("CREATED", {"a": 3})


def test_a_task_without_a_container_cannot_be_repeated(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        task = desk.app.manager.create_task({"any": "thing"})
        with pytest.raises(UsageError, match="has no container"):
            again(desk, task.record)


def test_a_changed_descriptor_is_noticed(tmp_path: Path) -> None:
    with make_desk(tmp_path, add) as desk:
        before = desk.run(values={"a": 3, "b": 4})
        same = desk.run(values={"a": 3, "b": 4})
        desk.bundle.write_text(DESCRIPTOR.replace("64Mi", "65Mi"))
        after = desk.run(values={"a": 3, "b": 4})
    place = Workspace(Path(before.folder))
    assert changed_since(before, place, same) == []
    assert changed_since(before, place, after) == ["descriptor"]
    assert changed_since(before, place, same.replace(image="sha256:other")) == ["image"]


def test_a_task_of_a_bare_image_is_repeated_with_its_command(tmp_path: Path) -> None:
    with make_desk(tmp_path, lambda container: container.path("/outputs/y").write_text("5") and 0) as desk:
        payload = {
            "image": IMAGE,
            "command": ["x"],
            "inputs": {"a": 1},
            "outputs": {"y": "integer"},
            "env": {"E": "1"},
        }
        first = desk.app.manager.create_task(payload)
        record = desk.app.manager.wait(first)
        assert record is not None
        request, said = again(desk, record)
        second = desk.app.manager.wait(desk.app.manager.submit(request))
        assert second is not None
    assert (request.command, dict(request.environment), said) == (["x"], {"E": "1"}, [])
    assert (second.inputs, second.outputs) == ({"a": 1}, {"y": 5})
