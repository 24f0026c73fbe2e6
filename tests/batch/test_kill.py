"""Batches whose process is killed at any moment, or stopped with a signal."""

from __future__ import annotations

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from tests.support.task_folder import Folder, make_folder
from tests.support.waiting import WAIT, until

pytestmark = pytest.mark.docker

RUN = "echo {0} >> /shared/log; sleep 0.05; echo {0} > /outputs/sum\n"  # the log counts the runs of each row


@pytest.fixture
def folder(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Folder]:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "rows").mkdir()
    with make_folder(tmp_path, docker_engine) as made:
        yield made


def start(folder: Folder, *options: str, jobs: int = 3) -> subprocess.Popen[str]:
    given = [
        "--image",
        folder.image,
        "--pull",
        "never",
        "--over",
        "script=@rows/*",
        "--mount",
        "shared:/shared:rw",
    ]
    more = ["--cpus", "0.1", "-j", str(jobs), "--results", "results.csv", "-o", "out", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "localrun", "batch", "descriptor.yml", *given, *more],
        cwd=folder.path,
        env={**folder.environment, "LOCALRUN_GRACE": "0.5"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(folder: Folder, *options: str) -> str:
    """Run the batch to its end; return standard error."""
    with start(folder, *options, jobs=8) as process:
        _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    return err


def log(folder: Folder) -> list[str]:
    path = folder.path / "shared/log"
    return path.read_text().split() if path.exists() else []


def check_complete(folder: Folder, count: int, engine: DockerEngine) -> None:
    """Check that every row ran once, and has one result with its own output."""
    expected = [str(number) for number in range(count)]
    assert {name: times for name, times in Counter(log(folder)).items() if times > 1} == {}
    assert sorted(log(folder)) == sorted(expected)
    lines = [json.loads(line) for line in (folder.path / "results.jsonl").read_text().splitlines()]
    assert sorted(str(line["outputs"]["sum"]) for line in lines) == sorted(expected)
    assert {line["state"] for line in lines} == {"FINISHED"}
    with (folder.path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == [str(line["row"]) for line in lines]
    for line in lines:
        delivered = (folder.path / "out" / line["id"] / "sum.txt").read_text()
        assert delivered.strip() == str(line["outputs"]["sum"])
    assert sorted(path.name for path in (folder.path / "out").iterdir()) == sorted(
        line["id"] for line in lines
    )
    tasks = [line["task"] for line in lines]
    assert not any(engine.find({LABEL_TASK: task}) for task in tasks)
    assert not list((folder.home / "active").iterdir())


@pytest.mark.parametrize(
    ("moments", "count"), [(4, 12), pytest.param(50, 90, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_a_batch_that_is_killed_at_any_moment_runs_every_row_once(
    folder: Folder, docker_engine: DockerEngine, moments: int, count: int
) -> None:
    for number in range(count):
        (folder.path / f"rows/{number:03d}").write_text(RUN.format(number))
    chance = random.Random(moments)
    for _ in range(moments):
        with start(folder, "--resume") as process:
            # from the start of the process to some rows after the first
            time.sleep(chance.uniform(0.2, 2.4))
            process.kill()
    finish(folder, "--resume")
    check_complete(folder, count, docker_engine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_batch_and_leaves_nothing_and_resume_continues(
    folder: Folder, docker_engine: DockerEngine, number: signal.Signals
) -> None:
    for name in ("0", "1"):
        (folder.path / f"rows/{name}").write_text(RUN.format(name))
    hanging = folder.path / "rows/2"
    hanging.write_text("echo started >> /shared/hangs; exec sleep 100\n")
    with start(folder) as process:
        until(lambda: (folder.path / "shared/hangs").exists() and len(log(folder)) == 2)
        until(lambda: (folder.path / "results.jsonl").read_text().count("\n") == 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130, err
    assert "stopping (press Ctrl+C again to kill)" in err
    assert err.endswith("stopped; continue with --resume\n")
    assert "2 of 3 rows finished" in out
    assert not list((folder.home / "active").iterdir())
    hanging.write_text(RUN.format("2"))
    assert "2 of 3 rows have ended" in finish(folder, "--resume")
    check_complete(folder, 3, docker_engine)
