"""Results that are reused while processes that run, reuse and prune tasks are killed at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from localrun.app import App
from localrun.engines.fake import FakeContainer
from localrun.errors import LocalrunError, TaskNotFound
from localrun.maintenance.prune import PruneOptions, Pruner
from localrun.task.active import ActiveTask
from localrun.task.states import TaskState
from tests.support.environment import DESCRIPTOR, Environment, make_environment
from tests.support.waiting import until

TEXT = "  text: {type: file, description: a text, display_name: Text}\n"
WORK = f"import sys, pathlib; from {__name__} import work; work(pathlib.Path(sys.argv[1]))"
MOMENTS = 50
VALUES = range(6)  # of `a`; the outputs of some are read, of others only their times are compared


def text_of(value: int) -> bytes:
    return b"%d\n" % value * (10 if value % 2 else 200_000)


def program(container: FakeContainer) -> int:
    """Write the outputs in parts, so that a kill leaves half of them."""
    value = int(container.path("/inputs/a").read_text())
    with container.path("/outputs/text").open("wb", buffering=0) as stream:
        half = len(text_of(value)) // 2
        stream.write(text_of(value)[:half])
        time.sleep(0.002)
        stream.write(text_of(value)[half:])
    container.path("/outputs/sum").write_text(str(value + 1))
    return 0


def submit(env: Environment, value: int, *, detached: bool = False) -> ActiveTask:
    return env.submit(values={"a": value, "b": 1}, reuse="yes", detached=detached)


def check(env: Environment, task: ActiveTask, value: int) -> None:
    """Check the result of a task, unless it was deleted in the meantime."""
    record = env.app.manager.wait(task)
    assert record is not None
    assert (record.state, record.outputs["sum"]) == (TaskState.FINISHED, value + 1), record
    try:
        assert Path(record.outputs["text"]).read_bytes() == text_of(value)
    except FileNotFoundError:
        with pytest.raises(TaskNotFound):
            task.workspace.load()


def prune(app: App, keep: int) -> None:
    settings = app.settings
    pruner = Pruner(app.store, settings.cache, app.ledger, lambda: app.engine, app.remove, lambda: None)
    for item in pruner.plan(PruneOptions(keep=keep, kinds=frozenset({"task", "file"}))).items:
        with suppress(LocalrunError):  # another one has deleted it
            pruner.delete(item)


def work(folder: Path) -> None:
    """Run, reuse and prune tasks until this process is killed; it ends when a result is wrong."""

    def repeat(action: int) -> None:
        try:
            while True:
                if action:
                    value = random.choice(VALUES)
                    check(env, submit(env, value, detached=random.random() < 0.5), value)
                else:
                    prune(env.app, keep=3)
        except BaseException:  # noqa: BLE001 - also failed assertions
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    with make_environment(folder, program) as env:
        (folder / "descriptor.yml").write_text(DESCRIPTOR + TEXT)
        env.app.recover()
        for action in range(3):
            threading.Thread(target=repeat, args=(action,)).start()
        sys.stdout.write("started\n")
        sys.stdout.flush()
        threading.Event().wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_half_written_is_reused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    for _ in range(MOMENTS):
        with subprocess.Popen(
            [sys.executable, "-c", WORK, str(tmp_path)],
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(0, 0.5))  # until any moment
            process.kill()
            _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
    with make_environment(tmp_path, program) as env:
        env.bundle.write_text(DESCRIPTOR + TEXT)
        env.app.recover()
        prune(env.app, keep=len(VALUES))  # and the locks of tasks that were about to be created or deleted
        until(lambda: not env.app.store.active_ids())
        for value in VALUES:
            check(env, submit(env, value), value)
        for value in VALUES:
            task = submit(env, value)
            check(env, task, value)
            assert task.reused
        home = env.app.store.path
        for path in (*home.rglob("*.localrun-tmp"), *home.glob("tasks/*")):  # of the last minute
            os.utime(path, (0, 0))
        for _ in range(2):  # tasks, and then what is stored about the results of deleted tasks
            prune(env.app, keep=0)
        left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
        assert {name for name in left if not name.startswith("reuse/recent/")} == {".gitignore"}
        assert list((home / "tasks").iterdir()) == []
