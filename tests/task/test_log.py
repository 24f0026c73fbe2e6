from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from localrun.engines.base import StreamName
from localrun.engines.log_position import STREAM_NAMES as STREAMS
from localrun.task.log import TaskLog, tail_by_stream


def write(path: Path, limit: int, chunks: list[bytes]) -> bytes:
    log = TaskLog(path, limit)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    return path.read_bytes()


def test_a_log_within_its_limit_is_kept_to_the_byte(tmp_path: Path) -> None:
    assert write(tmp_path / "log", 100, [b"one\n", b"two\n"]) == b"one\ntwo\n"


def test_a_log_beyond_its_limit_keeps_its_beginning_and_its_end_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    log = TaskLog(tmp_path / "log", 7000)
    for number in range(500_000):
        log.write(b"%06d\n" % number)
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert kept.startswith(b"000000\n")
    assert kept.endswith(b"499999\n")
    assert kept.count(b"\n[localrun: 2.3 MiB of output omitted]\n") == 1
    assert len(kept) < 7000 + 1024**2 + 100
    assert log.warnings() == [
        "the log is incomplete: 2.3 MiB of output omitted (limit 6.8 KiB; see LOCALRUN_LOG_LIMIT)"
    ]


@given(st.lists(st.binary(max_size=40)), st.integers(0, 200))
def test_nothing_is_lost_or_told_twice_while_the_end_fits(chunks: list[bytes], limit: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        assert write(Path(folder, "log"), limit, chunks) == b"".join(chunks)


def test_the_tail_is_text_whatever_the_program_wrote(tmp_path: Path) -> None:
    log = TaskLog(tmp_path / "log", 1000)
    log.write(b"caf\xc3\xa9 \xff\n")
    assert log.tail == "café �\n"
    log.close()
    log.close()


def test_a_full_disk_does_not_end_the_following_and_the_tail_is_known(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    log = TaskLog(tmp_path / "log", 1000)
    log.write(b"one\n")
    log.write(b"two\n")
    log.close()
    assert log.tail == "one\ntwo\n"
    assert log.warnings() == ["the log is incomplete: 8 B of output not written: No space left on device"]


def test_the_log_of_a_dead_process_is_continued_at_its_limit(tmp_path: Path) -> None:
    # Given a log whose process has ended it: a limited part, a mark and the end
    path = tmp_path / "task.log"
    first = TaskLog(path, 10)
    first.write(b"0123", "stderr")
    first.write(b"4567" * 300_000)
    first.close()

    # When another process continues it with the same output
    again = TaskLog(path, 10, resume=True)
    assert again.size == 10
    assert list(again.position.remaining([("stderr", b"0123"), ("stdout", b"4567456!")])) == [
        ("stderr", b""),
        ("stdout", b"6!"),
    ]
    again.write(b"6!")
    again.close()

    # Then its beginning is kept and only the new end follows
    assert path.read_bytes() == b"0123456745" + b"6!"


def test_a_gap_is_marked_also_beyond_the_limit(tmp_path: Path) -> None:
    for limit in (3, 100):
        log = TaskLog(tmp_path / f"{limit}", limit)
        log.write(b"one\n")
        log.mark_gap()
        log.write(b"three\n")
        log.close()
        text = (tmp_path / f"{limit}").read_text()
        assert text == "one\n\n[localrun: output is missing here; the engine no longer had it]\nthree\n"


def test_a_restarted_log_has_the_new_content_only(tmp_path: Path) -> None:
    log = TaskLog(tmp_path / "task.log", 100)
    log.write(b"bad", "stderr")
    log.restart()
    log.write(b"good")
    log.close()
    assert (tmp_path / "task.log").read_bytes() == b"good"
    assert log.tail == "good"
    assert tail_by_stream(tmp_path / "task.log", 10) == {"stdout": "good", "stderr": ""}


def test_the_streams_of_a_log_can_be_told_apart(tmp_path: Path) -> None:
    # Given a log of two streams that is not closed yet
    log = TaskLog(tmp_path / "task.log", 1000)
    log.write(b"one\n")
    log.write(b"bad\n", "stderr")
    log.write(b"worse\n", "stderr")
    log.write(b"two\n", "stdout")

    # Then each stream can be read separately, also its end only
    assert tail_by_stream(tmp_path / "task.log", 100) == {"stdout": "one\ntwo\n", "stderr": "bad\nworse\n"}
    assert tail_by_stream(tmp_path / "task.log", 4) == {"stdout": "two\n", "stderr": "rse\n"}
    log.close()


def test_a_log_that_is_written_anew_forgets_its_streams(tmp_path: Path) -> None:
    for stream in STREAMS[::-1]:
        (tmp_path / "task.log").unlink(missing_ok=True)
        log = TaskLog(tmp_path / "task.log", 1000)
        log.write(b"text\n", stream)
        log.close()
    assert tail_by_stream(tmp_path / "task.log", 100) == {"stdout": "text\n", "stderr": ""}


def test_a_task_without_a_log_wrote_nothing(tmp_path: Path) -> None:
    assert tail_by_stream(tmp_path / "task.log", 100) == {"stdout": "", "stderr": ""}


@given(st.lists(st.tuples(st.sampled_from(STREAMS), st.text(max_size=20))), st.integers(1, 50))
def test_the_ends_of_both_streams_are_what_was_written_to_them(
    pieces: list[tuple[StreamName, str]], longest: int
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = TaskLog(Path(folder, "task.log"), 10_000)
        for stream, text in pieces:
            log.write(text.encode(), stream)
        log.close()
        found = tail_by_stream(Path(folder, "task.log"), longest)
    for stream in ("stdout", "stderr"):
        assert found[stream] == "".join(text for name, text in pieces if name == stream)[-longest:]
