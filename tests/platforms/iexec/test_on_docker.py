"""iExec apps on a real engine: other users, and killed processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from tests.cli.command import Process
from tests.conftest import OtherUser
from tests.support.busybox_image import busybox_image

pytestmark = pytest.mark.docker

COMPUTED = 'echo {\\"deterministic-output-path\\": \\"/iexec_out/all\\"} > /iexec_out/computed.json'
GIVEN = ["--profile", "iexec", "--pull", "never", "--memory", "64Mi", "--json"]
SECRET = "swordfish"


@pytest.fixture(scope="module")
def image(docker_engine: DockerEngine) -> Iterator[str]:
    with busybox_image(docker_engine, "sh") as name:
        yield name


def shell(script: str) -> list[str]:
    return ["--args", f"sh -c '{script}'"]


def test_what_an_app_writes_as_root_is_packed_for_an_ordinary_user(
    as_other_user: OtherUser, image: str
) -> None:
    # Given an app whose files only root can read
    folder = as_other_user.folder(secrets.token_hex(4))
    script = (
        "umask 077; cd /iexec_out; mkdir all; echo 1 > all/a; echo 2 > stdout.txt; echo said; " + COMPUTED
    )
    ran = as_other_user.localrun("run", image, *GIVEN, *shell(script), "-o", "out", cwd=folder)

    # Then its result belongs to the user
    assert ran.returncode == 0, ran.stderr
    outputs = json.loads(ran.stdout)["outputs"]
    assert outputs["result"] == f"{folder}/out/iexec_out.zip"
    assert Path(outputs["result"]).stat().st_uid == as_other_user.uid
    assert (folder / "out/iexec_out/stdout.txt").read_text() == "said\n"
    assert (folder / "out/iexec_out/all/a").read_text() == "1\n"


def test_two_processes_of_an_app_that_agree_have_one_digest(image: str, tmp_path: Path) -> None:
    script = f"mkdir /iexec_out/all; echo $IEXEC_TASK_ID > /iexec_out/all/a; {COMPUTED}"
    found = []
    for _ in range(2):
        with Process("run", image, *GIVEN, *shell(script), cwd=tmp_path) as process:
            found.append(process.result().json["outputs"]["digest"])
    assert found[0] == found[1]


def test_after_a_process_was_killed_no_secret_and_no_container_stays(
    docker_engine: DockerEngine, image: str, tmp_path: Path
) -> None:
    # Given a running app whose process is killed
    script = 'echo "ready $IEXEC_REQUESTER_SECRET_1"; exec sleep 60'
    with Process("run", image, *GIVEN, *shell(script), "--secret", f"1={SECRET}", cwd=tmp_path) as process:
        assert "out | ready ***" in process.read_until("out | ready")
        (task,) = (tmp_path / ".localrun/tasks").iterdir()
        assert (task / "secrets.json").stat().st_mode & 0o777 == 0o600
        os.killpg(process.pid, signal.SIGKILL)
        process.result()

    # When the next task runs
    with Process("run", image, *GIVEN, *shell("sleep 1"), cwd=tmp_path) as process:
        process.result()

    # Then no container and no secret is left
    assert docker_engine.find({LABEL_TASK: task.name}) == []
    assert not (task / "secrets.json").exists()
    assert (task / "logs/task.log").read_text() == "ready ***\n"
    assert json.loads((task / "task.json").read_text())["cause"] == "RUNNER_TERMINATED"
    assert [
        path for path in task.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")
    ] == []
