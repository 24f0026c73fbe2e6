from __future__ import annotations

import pytest

from localrun.engines.base import Exit
from localrun.errors import Cause
from localrun.runner.diagnosis import Evidence, diagnose, signal_name

MIB = 1024**2


def evidence(code: int, log: str = "", **facts: object) -> Evidence:
    oom_killed = bool(facts.pop("oom_killed", False))
    return Evidence(Exit(code, oom_killed=oom_killed), memory=32 * MIB, log=log, **facts)  # type: ignore[arg-type]


def test_exit_code_0_is_a_good_end() -> None:
    assert diagnose(evidence(0, "done\n")).cause is None


def test_another_exit_code_is_a_failure_that_quotes_the_end_of_the_log() -> None:
    verdict = diagnose(evidence(3, "\n".join(f"line {n}" for n in range(30))))
    assert verdict.cause is Cause.EXIT_NONZERO
    assert "exit code 3" in verdict.message
    assert "line 29" in verdict.message
    assert "line 19" not in verdict.message
    assert verdict.remedy


def test_the_remedy_names_the_very_task() -> None:
    remedy = diagnose(evidence(3, "oh no\n", task_id="0123456789")).remedy
    assert "`localrun logs 01234567`" in remedy


def test_a_silent_failure_asks_for_words_and_not_for_a_look_at_an_empty_log() -> None:
    verdict = diagnose(evidence(3, " \n", task_id="0123456789"))
    assert "standard error" in verdict.remedy
    assert "localrun logs" not in verdict.remedy


@pytest.mark.parametrize(("code", "words"), [(126, "not executable"), (127, "not there, or not in its PATH")])
def test_an_exit_code_that_shells_give_a_meaning_to_is_told_with_it(code: int, words: str) -> None:
    assert f"exit code {code} (a program that it called is {words}" in diagnose(evidence(code, "x\n")).message


def test_a_task_that_wrote_nothing_is_said_to_have_written_nothing() -> None:
    assert diagnose(evidence(3)).message.endswith("its log is empty")


@pytest.mark.parametrize(
    ("code", "name"), [(139, "SIGSEGV"), (134, "SIGABRT"), (132, "SIGILL"), (143, "SIGTERM")]
)
def test_a_signal_is_called_by_its_name(code: int, name: str) -> None:
    verdict = diagnose(evidence(code))
    assert (verdict.cause, verdict.signal) == (Cause.SIGNAL, name)
    assert name in verdict.message


def test_the_kernels_word_makes_out_of_memory_certain() -> None:
    verdict = diagnose(evidence(137, oom_killed=True))
    assert (verdict.cause, verdict.oom) == (Cause.OUT_OF_MEMORY, "yes")
    assert "32 MiB" in verdict.message
    assert "--memory" in verdict.remedy


def test_a_child_that_ran_out_of_memory_counts_whatever_the_exit_code() -> None:
    assert diagnose(evidence(1, oom_killed=True)).cause is Cause.OUT_OF_MEMORY


def test_a_sigkill_that_nobody_of_us_sent_is_only_suspected_to_be_out_of_memory() -> None:
    verdict = diagnose(evidence(137))
    assert (verdict.cause, verdict.oom, verdict.signal) == (Cause.OUT_OF_MEMORY, "suspected", "SIGKILL")
    assert "probably" in verdict.message


def test_a_process_killed_for_memory_in_a_task_that_ended_well_is_a_warning() -> None:
    verdict = diagnose(evidence(0, oom_killed=True))
    assert (verdict.cause, verdict.oom) == (None, "yes")
    assert "lack of memory" in verdict.warning


def test_a_sigkill_that_we_sent_is_no_sign_of_memory() -> None:
    assert diagnose(evidence(137, timed_out=3.0)).cause is Cause.TIMEOUT
    assert diagnose(evidence(137, killed=True)).cause is Cause.KILLED
    assert diagnose(evidence(137, killed=True)).oom == "no"


def test_a_timeout_is_one_whatever_the_exit_code() -> None:
    verdict = diagnose(evidence(0, "almost\n", timed_out=3.0))
    assert verdict.cause is Cause.TIMEOUT
    assert "3 s" in verdict.message
    assert "almost" in verdict.message


def test_a_program_that_is_not_there_is_no_failure_of_the_program() -> None:
    verdict = diagnose(evidence(127, "[FATAL tini (7)] exec /app/run failed: No such file or directory\n"))
    assert verdict.cause is Cause.ENTRYPOINT_INVALID
    assert "'/app/run'" in verdict.message
    assert "No such file" in verdict.message


def test_exit_code_127_alone_does_not_prove_a_missing_entrypoint() -> None:
    assert diagnose(evidence(127, "sh: frobnicate: not found\n")).cause is Cause.EXIT_NONZERO


@pytest.mark.parametrize(
    ("image", "cause", "words"),
    [("arm64", Cause.IMAGE_PLATFORM, "made for arm64"), ("amd64", Cause.ENTRYPOINT_INVALID, "#!/bin/sh")],
)
def test_an_exec_format_error_is_told_apart_by_the_images_architecture(
    image: str, cause: Cause, words: str
) -> None:
    log = "[FATAL tini (7)] exec /run.sh failed: Exec format error\n"
    verdict = diagnose(evidence(126, log, image_architecture=image, engine_architecture="amd64"))
    assert verdict.cause is cause
    assert words in verdict.message


@pytest.mark.parametrize(
    "line", ["cp: write error: No space left on device", "OSError: [Errno 28] nope", "Disk quota exceeded"]
)
def test_a_full_disk_is_recognised_by_the_programs_own_words(line: str) -> None:
    assert diagnose(evidence(1, f"working\n{line}\n")).cause is Cause.DISK_FULL
    assert diagnose(evidence(0, f"working\n{line}\n")).cause is None


@pytest.mark.parametrize(
    ("code", "name"), [(0, None), (128, None), (129, "SIGHUP"), (255, None), (137, "SIGKILL")]
)
def test_only_codes_above_128_that_are_signals_have_a_name(code: int, name: str | None) -> None:
    assert signal_name(code) == name
