"""Test the task on a real engine; skipped if there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import localrun as package

if TYPE_CHECKING:
    from localrun.pytest_plugin import Bench, Case, LiveServer, ProjectBundle

pytestmark = pytest.mark.localrun


def test_a_case_gives_what_is_expected(localrun_case: Case) -> None:
    localrun_case.check()


@pytest.mark.parametrize("radius", [1, 4, 16])
def test_the_area_is_that_of_a_circle(localrun: Bench, radius: float) -> None:
    outputs = localrun(size=32, radius=radius)
    assert outputs["area"] == pytest.approx(3.14159 * radius**2 / 32**2, abs=0.01)


def test_a_disc_that_does_not_fit_is_told(localrun: Bench) -> None:
    with pytest.raises(
        package.TaskFailed, match="a disc of radius 9 does not fit into 16 x 16 pixels"
    ) as raised:
        localrun(size=16, radius=9)
    assert raised.value.record.exit_code == 1


def test_a_server_gives_the_mask(localrun_server: LiveServer, localrun_bundle: ProjectBundle) -> None:
    client = localrun_server.client
    task = {"bundle": "task", "image": localrun_bundle.image, "inputs": {"size": 16, "radius": 4}}
    made = client.post("/task", {"task": task, "assigned_by": "tests"})
    assert made.status == 200, made.text
    task_id = made.json()["task_id"]
    assert client.get(f"/task/{task_id}/wait", timeout=50).json()["task"]["state"] == "FINISHED"
    assert client.get(f"/task/{task_id}/outputs/mask").body.startswith(b"\x89PNG")
