"""The log of a task is complete, or marks what is missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from localrun.engines.base import ContainerSpec, Handle, LogChunk
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.engines.fake.engine import INFO
from localrun.errors import Cause, EngineError
from localrun.masking.masker import SecretMasker
from localrun.runner.log_follower import LogFollower
from localrun.task.log import TaskLog

LINES: list[LogChunk] = [("stdout", b"%d\n" % number) for number in range(9)]
WHOLE = b"".join(text for _, text in LINES)
BROKEN = EngineError("the connection broke", cause=Cause.ENGINE_LOST)


class Live:
    """Output that ends after some chunks, with an error or silently."""

    def __init__(self, chunks: Sequence[LogChunk], error: EngineError | None = None) -> None:
        self.chunks = chunks
        self.error = error

    def __iter__(self) -> Iterator[LogChunk]:
        yield from self.chunks
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        pass


class Copies(FakeEngine):
    """An engine whose copy of the log is given; the followed copy may differ."""

    def __init__(
        self, copy: Sequence[LogChunk], followed: Sequence[LogChunk] | None = None, *, has_gaps: bool = False
    ) -> None:
        super().__init__(info=replace(INFO, log_has_gaps=has_gaps))
        self.copy = copy
        self.followed = copy if followed is None else followed
        self.reads: list[str] = []

    def logs(self, handle: Handle, *, follow: bool = True, tail: int | None = None) -> Iterator[LogChunk]:
        self.reads.append("tail" if tail else "follow" if follow else "whole")
        chunks = self.followed if follow else self.copy
        yield from chunks if tail is None else chunks[-tail:]


def follow(
    tmp_path: Path,
    engine: FakeEngine,
    live: Live | None = None,
    *,
    ended: bool = True,
    secrets: Sequence[str] = (),
    before: bytes | None = None,
) -> tuple[bytes, TaskLog]:
    path = tmp_path / "task.log"
    if before is not None:
        path.write_bytes(before)
    log = TaskLog(path, 10_000, resume=before is not None)
    follower = LogFollower(engine, "handle", log, SecretMasker(secrets))
    if ended:
        follower.set_ended()
    else:
        threading.Timer(0.1, follower.set_ended).start()
    follower.follow(live)
    log.close()
    return path.read_bytes(), log


def test_live_output_is_compared_with_the_last_lines_only(tmp_path: Path) -> None:
    engine = Copies(LINES)
    assert follow(tmp_path, engine, Live(LINES), ended=False)[0] == WHOLE
    assert engine.reads == ["tail"]


@pytest.mark.parametrize("error", [BROKEN, None])
@pytest.mark.parametrize("read", [0, 4, 9])
def test_live_output_that_breaks_off_is_completed_without_duplicates(
    tmp_path: Path, read: int, error: EngineError | None
) -> None:
    written, log = follow(tmp_path, Copies(LINES), Live(LINES[:read], error), ended=False)
    assert (written, log.warnings()) == (WHOLE, [])


def test_a_break_in_the_middle_of_a_secret_shows_no_part_of_it(tmp_path: Path) -> None:
    copy: list[LogChunk] = [("stdout", b"the password is hunter2!\n")]
    live = Live([("stdout", b"the password is hun")], BROKEN)
    written, _ = follow(tmp_path, Copies(copy), live, ended=False, secrets=["hunter2"])
    assert written == b"the password is ***!\n"


def test_the_end_comes_from_the_copy_if_the_followed_log_lacks_it(tmp_path: Path) -> None:
    assert follow(tmp_path, Copies(LINES, LINES[:5], has_gaps=True), ended=False)[0] == WHOLE


def test_a_followed_log_with_gaps_is_replaced_by_the_copy(tmp_path: Path) -> None:
    gaps = [*LINES[:3], *LINES[6:]]
    written, log = follow(tmp_path, Copies(LINES, gaps, has_gaps=True), ended=False)
    assert (written, log.warnings()) == (WHOLE, [])


def test_the_log_of_a_dead_process_is_continued(tmp_path: Path) -> None:
    assert follow(tmp_path, Copies(LINES), before=WHOLE[:7])[0] == WHOLE


def test_the_beginning_of_a_log_is_kept_if_the_engine_no_longer_has_it(tmp_path: Path) -> None:
    lines: list[LogChunk] = [("stdout", b"%d " % number * 400 + b"\n") for number in range(9)]
    written, log = follow(tmp_path, Copies(lines[4:]), before=b"".join(text for _, text in lines[:6]))
    assert (written, log.warnings()) == (b"".join(text for _, text in lines), [])


def test_a_part_that_nobody_has_is_marked_and_reported(tmp_path: Path) -> None:
    written, log = follow(tmp_path, Copies(LINES[6:]), before=b"0\n1\n")
    assert written.startswith(b"0\n1\n")
    assert written.endswith(b"[localrun: output is missing here; the engine no longer had it]\n6\n7\n8\n")
    assert log.warnings() == ["the log has a gap: localrun did not receive a part of the output"]


def test_a_damaged_log_is_replaced_by_a_complete_copy(tmp_path: Path) -> None:
    assert follow(tmp_path, Copies(LINES), before=b"0\n1\n7\n")[0] == WHOLE


def test_a_program_that_closes_its_output_and_runs_on_is_followed_to_its_end(tmp_path: Path) -> None:
    engine = FakeEngine(_say_then_wait)
    engine.add_image("image")
    handle = engine.create(ContainerSpec("image", "name", folders=("/out",)))
    engine.start(handle)
    log = TaskLog(tmp_path / "task.log", 1000)
    follower = LogFollower(engine, handle, log, SecretMasker())
    thread = threading.Thread(target=follower.follow, args=(Live([("stdout", b"one\n")]),))
    thread.start()
    engine.stop(handle, 10)
    follower.set_ended()
    thread.join(60)
    log.close()
    engine.close()
    assert (tmp_path / "task.log").read_bytes() == b"one\ntwo\n"


def _say_then_wait(container: FakeContainer) -> int:
    container.stdout.write("one\n")
    container.stopped.wait(60)
    container.stdout.write("two\n")
    return 0


def test_every_read_counts_as_progress_also_of_known_output(tmp_path: Path) -> None:
    (tmp_path / "task.log").write_bytes(WHOLE)
    log = TaskLog(tmp_path / "task.log", 1000, resume=True)
    follower = LogFollower(Copies(LINES), "handle", log, SecretMasker())
    follower.complete()
    log.close()
    assert follower.progress == len(LINES)


def test_nothing_is_read_after_the_log_was_abandoned(tmp_path: Path) -> None:
    engine = Copies(LINES)
    log = TaskLog(tmp_path / "task.log", 1000)
    follower = LogFollower(engine, "handle", log, SecretMasker())
    follower.abandon()
    follower.follow(None)
    log.close()
    assert engine.reads == []
