"""The last lines of a task's files, which are untrusted, also while they are written."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

import localrun
from localrun.api.tail import _FileTail
from localrun.engines.fake import FakeContainer
from localrun.errors import UsageError
from localrun.values.untrusted import UntrustedDir
from tests.api.test_task import env_of, fail, submit


def leave(container: FakeContainer) -> int:
    outputs = container.path("/outputs")
    (outputs / "sum").write_text("7")
    (outputs / "many").write_text("".join(f"{n}\n" for n in range(100)))
    (outputs / "secret").symlink_to("/etc/hostname")
    (outputs / "inner").symlink_to("/outputs/sum")
    (outputs / "folder").mkdir()
    os.mkfifo(outputs / "pipe")
    container.stdout.write("said\n")
    return 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_last_lines_of_a_file_are_shown(tmp_path: Path) -> None:
    out = io.StringIO()
    with env_of(tmp_path, leave) as env:
        task = submit(env)
        task.wait()
        task.tail_files(["many"], 2, out=out)
    assert out.getvalue() == "98\n99\n"


def test_several_files_are_shown_below_their_names(tmp_path: Path) -> None:
    out = io.StringIO()
    with env_of(tmp_path, leave) as env:
        task = submit(env)
        task.wait()
        task.tail_files(["many", "inner"], 1, out=out)
    assert out.getvalue() == "==> many <==\n99\n==> inner <==\n7"


def test_without_a_name_the_log_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with env_of(tmp_path, fail) as env:
        task = submit(env)
        task.wait()
        task.tail_files(lines=1)
    assert capsys.readouterr().out == "no luck\n"


def test_new_data_is_followed_to_the_end_of_the_task(tmp_path: Path) -> None:
    go = threading.Event()

    class Reader(io.StringIO):
        def flush(self) -> None:
            if "first\n" in self.getvalue():
                go.set()

    def program(container: FakeContainer) -> int:
        with container.path("/outputs/log.txt").open("w", buffering=1) as log:
            log.write("first\n")
            go.wait(60)
            log.write("second\n")
        container.path("/outputs/sum").write_text("7")
        return 0

    out = Reader()
    with env_of(tmp_path, program) as env:
        task = submit(env)
        task.tail_files(["log.txt"], follow=True, out=out)
        assert task.status == "FINISHED"
    assert out.getvalue() == "first\nsecond\n"


def test_every_missing_file_is_reported(tmp_path: Path) -> None:
    with env_of(tmp_path, leave) as env:
        task = submit(env)
        task.wait()
        with pytest.raises(UsageError) as caught:
            task.tail_files(["mani", "sum", "nothing"], out=io.StringIO())
    assert [problem.path for problem in caught.value.problems] == ["mani", "nothing"]
    assert "did you mean 'many'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("secret", "leaves the output folder"),
        ("../task.json", "leaves the output folder"),
        ("folder", "got a folder"),
        ("pipe", "got a pipe"),
    ],
)
def test_unsafe_paths_are_never_opened(tmp_path: Path, name: str, reason: str) -> None:
    out = io.StringIO()
    with env_of(tmp_path, leave) as env:
        task = submit(env)
        task.wait()
        with pytest.raises(UsageError, match=reason):
            task.tail_files([name], out=out)
    assert out.getvalue() == ""


def test_control_characters_are_escaped_on_a_terminal(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.stdout.write("\x1b]0;title\x07hello\n")
        return 1

    out = Terminal()
    with env_of(tmp_path, program) as env:
        task = submit(env)
        task.wait()
        task.tail_files(out=out)
    assert "\x1b" not in out.getvalue()
    assert "hello\n" in out.getvalue()


def test_a_task_that_wrote_nothing_shows_nothing(tmp_path: Path) -> None:
    out = io.StringIO()
    with env_of(tmp_path, lambda container: 1) as env:
        task = submit(env)
        task.wait()
        task.tail_files(out=out)
        assert task.logs() == ""
    assert out.getvalue() == ""


class Stepwise(io.StringIO):
    """Resumes the task once something was shown."""

    def __init__(self, go: threading.Event, words: str) -> None:
        super().__init__()
        self._go, self._words = go, words

    def flush(self) -> None:
        if self._words in self.getvalue():
            self._go.set()


def test_a_character_split_between_chunks_is_shown_whole(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        with container.path("/outputs/log.txt").open("wb", buffering=0) as log:
            log.write("x\nä".encode()[:3])
            go.wait(60)
            log.write("ä\n".encode()[1:])
        return 1

    out = Stepwise(go, "x\n")
    with env_of(tmp_path, program) as env:
        submit(env).tail_files(["log.txt"], follow=True, out=out)
    assert out.getvalue() == "x\nä\n"


def test_a_rewritten_file_is_shown_from_its_start(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        container.path("/outputs/state").write_text("half of it\n")
        go.wait(60)
        container.path("/outputs/state").write_text("all\n")
        return 1

    out = Stepwise(go, "half")
    with env_of(tmp_path, program) as env:
        submit(env).tail_files(["state"], follow=True, out=out)
    assert out.getvalue() == "half of it\nall\n"


def test_the_files_of_a_task_are_listed(tmp_path: Path) -> None:
    with env_of(tmp_path, leave) as env:
        task = submit(env)
        task.wait()
        found = {leaf.path: leaf.kind for leaf in task.list_files()}
    assert (found["sum"], found["secret"], found["pipe"]) == ("file", "link", "pipe")


def test_a_task_without_a_container_has_no_files(tmp_path: Path) -> None:
    with env_of(tmp_path) as env:
        made = env.app.manager.create_task({"any": "thing"})
        task = localrun.Task(made.id, env.app.settings.home)
        task.tail_files(out=io.StringIO())
        assert task.list_files() == []
        with pytest.raises(UsageError, match="has not written these files"):
            task.tail_files(["x"], out=io.StringIO())


def test_a_file_that_is_replaced_is_shown_from_its_start(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        state, beside = container.path("/outputs/state"), container.path("/outputs/.state")
        state.write_text("half\n")
        go.wait(60)
        beside.write_text("all of it now\n")
        beside.replace(state)
        return 1

    out = Stepwise(go, "half")
    with env_of(tmp_path, program) as env:
        submit(env).tail_files(["state"], follow=True, out=out)
    assert out.getvalue() == "half\nall of it now\n"


def test_a_file_replaced_by_a_link_is_not_followed(tmp_path: Path) -> None:
    go = threading.Event()

    def program(container: FakeContainer) -> int:
        state = container.path("/outputs/state")
        state.write_text("half\n")
        go.wait(60)
        state.unlink()
        state.symlink_to("/etc/hostname")
        return 1

    out = Stepwise(go, "half")
    with env_of(tmp_path, program) as env:
        submit(env).tail_files(["state"], follow=True, out=out)
    assert out.getvalue() == "half\n"


@pytest.mark.parametrize("before", ["", "half\n"])
def test_a_rewritten_log_is_continued_even_if_it_was_empty(before: str, tmp_path: Path) -> None:
    log, beside = tmp_path / "task.log", tmp_path / "beside"
    log.write_text(before)
    with UntrustedDir(tmp_path, "/") as tree:
        tail = _FileTail(tree, "task.log", 10, is_log=True)
        assert "".join(tail.chunks()) == before
        beside.write_text("half\nwhole\n")  # a process that resumes a task rewrites its log
        beside.replace(log)
        assert before + "".join(tail.chunks()) == "half\nwhole\n"
        tail.close()
