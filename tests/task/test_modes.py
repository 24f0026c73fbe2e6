"""Other users of the machine cannot read the files of a task."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE

from localrun.engines.fake import FakeContainer
from tests.support.environment import make_environment

FOR_THE_CONTAINER = {"inputs", "outputs", "hosts"}


def add(container: FakeContainer) -> int:
    container.path("/outputs/sum").write_text("3")
    container.stdout.write("added\n")
    container.stderr.write("done\n")
    return 0


def test_only_the_user_can_read_the_files_of_a_task(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with make_environment(tmp_path, add) as env:
            record = env.run(values={"a": 1, "b": 2})
            workspace = env.app.store.open(record.id)
    finally:
        os.umask(umask)
    assert record.state.value == "FINISHED"
    modes = {
        str(path.relative_to(workspace.path)): S_IMODE(path.stat().st_mode)
        for path in workspace.path.rglob("*")
        if path.relative_to(workspace.path).parts[0] not in FOR_THE_CONTAINER
    }
    assert S_IMODE(workspace.path.stat().st_mode) == 0o700
    assert {"task.json", "events.jsonl", "descriptor.yml", "logs/task.log"} <= modes.keys()
    files = {name: oct(mode) for name, mode in modes.items() if name != "logs" and mode & 0o077}
    assert files == {}
