"""Inductiva's methods next to the properties."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.errors import TaskNotFound
from localrun.task.process import current_process
from tests.api.test_task import env_of, hang, submit


def test_methods_return_what_the_properties_are(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        assert task.wait_for_status("FINISHED") == task.get_status() == "FINISHED"
        assert task.get_info() == task.info
        assert task.get_position_in_queue() is None
        assert (task.is_running(), task.is_failed(), task.is_terminal()) == (False, False, True)
        assert task.get_simulator_name() == "Add integers"
        assert task.get_storage_path() == str(task.folder)
        assert task.get_input_url() == f"file://{task.folder}/inputs"
        assert task.get_output_url() == f"file://{task.folder}/outputs"
        assert task.get_machine_type() == current_process().host
        task.set_metadata({"sample": "A1", "run": 3})
        assert task.get_metadata() == {"sample": "A1", "run": 3}


def test_times_are_those_of_the_program_and_of_the_task(tmp_path: Path) -> None:
    with env_of(tmp_path, hang) as env:
        task = submit(env)
        task.wait_for("RUNNING")
        computed = task.get_computation_time()
        assert computed is not None
        assert 0 <= computed <= task.get_total_time()
        assert task.is_running()
        task.kill()
        assert task.get_computation_time() is not None
        assert task.is_failed()


def test_outputs_are_summed_up(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        info = task.get_output_info()
        assert (info.n_files, info.total_size_bytes, [file.path for file in info.files]) == (1, 1, ["sum"])
        newest = task.last_modified_file()
        assert newest is not None
        assert newest.path == "sum"


def test_a_task_is_deleted_with_its_files(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        task = submit(env)
        task.wait()
        assert task.remove_remote_files()
        assert not task.folder.exists()
        with pytest.raises(TaskNotFound):
            task.get_status()
