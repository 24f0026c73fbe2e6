from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

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
    chunks = [b"%06d\n" % number for number in range(100_000)]
    kept = write(tmp_path / "log", 7000, chunks)
    assert kept.startswith(b"000000\n")
    assert kept.endswith(b"099999\n")
    assert b"KiB of output omitted]" in kept
    assert len(kept) < 7000 + 2 * 64 * 1024


@given(st.lists(st.binary(max_size=40)), st.integers(0, 200))
def test_nothing_is_lost_or_told_twice_while_the_end_fits(chunks: list[bytes], limit: int) -> None:
    import tempfile

    whole = b"".join(chunks)
    with tempfile.TemporaryDirectory() as folder:
        kept = write(Path(folder, "log"), limit, chunks)
    if len(whole) <= limit:
        assert kept == whole
    else:
        assert kept == whole[:limit] + b"\n[localrun: 0 B of output omitted]\n" + whole[limit:]


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
    for stream in ("stderr", "stdout"):
        (tmp_path / "task.log").unlink(missing_ok=True)
        log = TaskLog(tmp_path / "task.log", 1000)
        log.write(b"text\n", stream)
        log.close()
    assert tail_by_stream(tmp_path / "task.log", 100) == {"stdout": "text\n", "stderr": ""}


def test_a_task_without_a_log_wrote_nothing(tmp_path: Path) -> None:
    assert tail_by_stream(tmp_path / "task.log", 100) == {"stdout": "", "stderr": ""}


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.text(max_size=20))), st.integers(1, 50))
def test_the_ends_of_both_streams_are_what_was_written_to_them(
    pieces: list[tuple[str, str]], longest: int
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
