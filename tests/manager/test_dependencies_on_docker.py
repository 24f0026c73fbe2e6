"""Tasks that feed tasks in real containers, over processes that are killed."""

from __future__ import annotations

import os
import random
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.task import supervision
from localrun.task.store import TaskStore
from tests.cli.command import Result, call
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive

pytestmark = pytest.mark.docker
ADD = "sleep 0.3; echo $(($(cat /inputs/a) + $(cat /inputs/b))) > /outputs/sum"
MOMENTS = int(os.environ.get("KILL_MOMENTS", "3"))  # `make attack` kills at more of them


@pytest.fixture
def image(docker_engine: DockerEngine) -> Iterator[str]:
    name = f"localrun-test/chain:{secrets.token_hex(4)}"
    command = ["sh", "-c", ADD]
    docker_engine.load_image([image_archive(busybox_layer({}), name, Cmd=command, Env=["PATH=/bin"])])
    yield name
    docker_engine.remove_image(name)


class Folder:
    """A folder with a bundle, in which commands run on the real engine."""

    def __init__(self, path: Path, image: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys
        self._given = ("descriptor.yml", "--image", image, "--pull", "never")
        (path / "descriptor.yml").write_text(DESCRIPTOR)

    def __call__(self, *arguments: object) -> Result:
        env = {"LOCALRUN_HOME": str(self.path / "home"), "LOCALRUN_LEDGER": str(self.path / "ledger.json")}
        return call(*arguments, cwd=self.path, env=env, capsys=self._capsys)

    def run(self, *arguments: object) -> Result:
        return self("run", *self._given, *arguments)

    def submit(self, a: str, b: str) -> str:
        submitted = self.run("-d", "-i", f"a={a}", "-i", f"b={b}")
        assert submitted.code == 0, submitted.err
        return submitted.out.strip()

    def kill_supervisor(self) -> None:
        if pid := supervision.running_pid(self.path / "home"):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        for task_id in TaskStore(self.path / "home").active_ids():
            self("kill", task_id, "--now")
        supervision.stop(self.path / "home")


@pytest.fixture
def folder(tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Folder]:
    made = Folder(tmp_path, image, capsys)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_chain_survives_that_its_process_is_killed_at_any_moment(folder: Folder, seed: int) -> None:
    ids = [folder.submit("1", "1")]
    ids += [folder.submit(f"@task:{ids[-1][:12]}/sum", f"@task:{ids[0]}/sum")]
    ids += [folder.submit(f"@task:{ids[-1]}/sum", "10")]
    time.sleep(random.Random(seed).uniform(0.0, 1.2))
    folder.kill_supervisor()
    waited = folder("wait", ids[-1], "--timeout", "120")
    assert waited.code == 0, waited.err
    store = TaskStore(folder.path / "home")
    records = [store.open(task_id).load() for task_id in ids]
    assert [record.outputs for record in records] == [{"sum": 2}, {"sum": 4}, {"sum": 14}]
    assert str(records[1].sources["b"]) == f"task {ids[0][:8]}/sum"


def test_list_and_describe_show_what_a_task_waits_for(folder: Folder) -> None:
    first = folder.submit("1", "1")
    second = folder.submit(f"@task:{first}/sum", "@task:last/sum")
    says = f"waiting for output 'sum' of task {first[:8]}"
    assert folder("wait", second).code == 0
    described = folder("describe", second).out
    assert f"a: from task {first[:8]}/sum" in described
    assert f"{says}, output 'sum' of task {first[:8]}" in described
    assert f"a: from task {first[:8]}/sum" in folder("status", second).out
    assert folder("inputs", second, "--json").json["sources"]["a"] == {"task": first, "output": "sum"}
    again = folder("rerun", second, "-q")
    assert again.out == "sum: 4\n"


def test_list_shows_what_each_task_waits_for(folder: Folder) -> None:
    first = folder.submit("1", "1")
    second = folder.submit(f"@task:{first}/sum", "1")
    folder.kill_supervisor()  # so that both stay as they are
    store = TaskStore(folder.path / "home")
    if store.open(second).load().needs:  # else it was faster
        listed = folder("list").out
        assert "WAITING FOR" in listed
        assert f"output 'sum' of task {first[:8]}" in listed
    assert folder("wait", second).code == 0


def test_a_foreground_task_waits_for_a_detached_one(folder: Folder) -> None:
    first = folder.submit("1", "1")
    ran = folder.run("-i", f"a=@task:{first[:6]}/sum", "-i", "b=1", "-q")
    assert (ran.code, ran.out) == (0, "sum: 3\n")
    refused = folder.run("-i", f"a=@task:{first[:6]}/som", "-i", "b=x")
    assert refused.code == 3
    assert "inputs.a: task" in refused.err
    assert "did you mean 'sum'?" in refused.err
    assert "inputs.b" in refused.err
