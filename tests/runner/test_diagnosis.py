from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

import msgspec
import pytest

from localrun.engines.base import ContainerSpec, EngineImage, Exit, Handle
from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, ContainerFileMissing, EngineError, Problem
from localrun.runner.diagnosis import (
    Evidence,
    diagnose,
    find_program_error,
    first_line,
    format_log_tail,
    signal_name,
)
from tests.support.descriptors import make
from tests.support.images import tar_of

MIB = 1024**2
IMAGE = EngineImage("sha256:1", "linux", "amd64", 1, command=("/app/run",))


def evidence(code: int, log: str = "", **facts: object) -> Evidence:
    oom_killed = bool(facts.pop("oom_killed", False))
    return Evidence(Exit(code, oom_killed=oom_killed), memory=32 * MIB, log=log, **facts)  # type: ignore[arg-type]


def test_exit_code_0_is_a_success() -> None:
    assert diagnose(evidence(0, "done\n")).cause is None


def test_another_exit_code_is_a_failure_whose_message_has_the_end_of_the_log() -> None:
    found = diagnose(evidence(3, "\n".join(f"line {n}" for n in range(30))))
    assert found.cause is Cause.EXIT_NONZERO
    assert "exit code 3" in found.message
    assert "line 29" in found.message
    assert "line 19" not in found.message
    assert found.remedy


def test_the_remedy_names_the_task() -> None:
    remedy = diagnose(evidence(3, "oh no\n", task_id="0123456789")).remedy
    assert "`localrun logs 01234567`" in remedy


def test_the_remedy_of_a_silent_failure_is_not_its_empty_log() -> None:
    found = diagnose(evidence(3, " \n", task_id="0123456789"))
    assert "standard error" in found.remedy
    assert "localrun logs" not in found.remedy


@pytest.mark.parametrize(
    ("code", "words"), [(126, "is not executable"), (127, "does not exist or is not in its PATH")]
)
def test_an_exit_code_with_a_meaning_to_shells_is_explained(code: int, words: str) -> None:
    assert f"exit code {code} (a program that it called {words}" in diagnose(evidence(code, "x\n")).message


def test_an_app_that_reads_a_dataset_which_it_did_not_get_is_told_so() -> None:
    log = f"open: no such file: /iexec_in/0x{'0' * 40}\n"
    assert "IEXEC_DATASET_FILENAME is all zeros without a dataset" in diagnose(evidence(1, log)).remedy
    assert "IEXEC_DATASET" not in diagnose(evidence(1, f"address 0x{'0' * 40}\n")).remedy


def test_an_empty_log_is_reported() -> None:
    assert diagnose(evidence(3)).message.endswith("its log is empty")


@pytest.mark.parametrize(
    ("code", "name"), [(139, "SIGSEGV"), (134, "SIGABRT"), (132, "SIGILL"), (143, "SIGTERM")]
)
def test_a_signal_is_reported_by_name(code: int, name: str) -> None:
    found = diagnose(evidence(code))
    assert (found.cause, found.signal) == (Cause.SIGNAL, name)
    assert name in found.message


def test_out_of_memory_is_certain_if_the_kernel_reports_it() -> None:
    found = diagnose(evidence(137, oom_killed=True))
    assert (found.cause, found.oom) == (Cause.OUT_OF_MEMORY, "yes")
    assert "32 MiB" in found.message
    assert "--memory" in found.remedy


def test_a_child_out_of_memory_counts_with_any_exit_code() -> None:
    assert diagnose(evidence(1, oom_killed=True)).cause is Cause.OUT_OF_MEMORY


def test_a_sigkill_without_a_sign_of_a_lack_of_memory_is_a_signal() -> None:
    found = diagnose(evidence(137))
    assert (found.cause, found.oom, found.signal) == (Cause.SIGNAL, "no", "SIGKILL")
    assert "there is no sign that memory ran out" in found.message
    assert diagnose(evidence(137, memory_peak=20 * MIB)).cause is Cause.SIGNAL


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"memory_peak": 31 * MIB}, "exceeded its memory limit of 32 MiB, of which it used 31 MiB"),
        ({"host_oom": True}, "the memory of this machine was full"),
    ],
)
def test_out_of_memory_is_suspected_after_a_sigkill_while_memory_was_nearly_full(
    facts: dict[str, Any], words: str
) -> None:
    found = diagnose(evidence(137, **facts))
    assert (found.cause, found.oom, found.signal) == (Cause.OUT_OF_MEMORY, "suspected", "SIGKILL")
    assert words in found.message
    assert diagnose(evidence(1, **facts)).cause is Cause.EXIT_NONZERO


@pytest.mark.parametrize("code", [0, 1, 137, 143])
def test_an_engine_that_stopped_the_container_to_shut_down_is_the_cause(code: int) -> None:
    found = diagnose(evidence(code, engine_stopped=True, engine_lost=True))
    assert found.cause is Cause.ENGINE_LOST
    assert f"the engine was shut down while the task ran, and stopped it (exit code {code})" in found.message


def test_a_task_that_ran_longer_than_its_limit_unattended_timed_out() -> None:
    found = diagnose(Evidence(Exit(0, started=100.0, finished=116.0), memory=32 * MIB, timed_out=3.0))
    assert found.cause is Cause.TIMEOUT
    assert "exceeded its time limit of 3 s and ran for 16.0 s" in found.message


def test_a_container_that_was_stopped_because_its_process_died_keeps_its_signal() -> None:
    found = diagnose(evidence(143, "working", owner_died="process 12"))
    assert (found.cause, found.signal) == (Cause.RUNNER_TERMINATED, "SIGTERM")
    assert "the localrun process 12 of the task died before the task ended" in found.message
    assert "working" in found.message
    assert diagnose(evidence(143, owner_died="process 12", killed=True)).cause is Cause.KILLED


def test_a_process_out_of_memory_is_a_warning_if_the_task_succeeds() -> None:
    found = diagnose(evidence(0, oom_killed=True))
    assert (found.cause, found.oom) == (None, "yes")
    assert "lack of memory" in found.warning


def test_a_sigkill_by_localrun_is_not_out_of_memory() -> None:
    assert diagnose(evidence(137, timed_out=3.0)).cause is Cause.TIMEOUT
    assert diagnose(evidence(137, killed=True)).cause is Cause.KILLED
    assert diagnose(evidence(137, killed=True)).oom == "no"


def test_a_timeout_does_not_depend_on_the_exit_code() -> None:
    found = diagnose(evidence(0, "almost\n", timed_out=3.0))
    assert found.cause is Cause.TIMEOUT
    assert "3 s" in found.message
    assert "almost" in found.message


def test_a_missing_program_is_an_invalid_entrypoint() -> None:
    found = diagnose(evidence(127, "[FATAL tini (7)] exec /app/run failed: No such file or directory\n"))
    assert found.cause is Cause.ENTRYPOINT_INVALID
    assert "'/app/run'" in found.message
    assert "No such file" in found.message


def test_exit_code_127_alone_does_not_prove_a_missing_entrypoint() -> None:
    assert diagnose(evidence(127, "sh: frobnicate: not found\n")).cause is Cause.EXIT_NONZERO


@pytest.mark.parametrize(
    ("image", "cause", "words"),
    [("arm64", Cause.IMAGE_PLATFORM, "built for arm64"), ("amd64", Cause.ENTRYPOINT_INVALID, "#!/bin/sh")],
)
def test_the_cause_of_an_exec_format_error_depends_on_the_images_architecture(
    image: str, cause: Cause, words: str
) -> None:
    log = "[FATAL tini (7)] exec /run.sh failed: Exec format error\n"
    found = diagnose(evidence(126, log, image_architecture=image, engine_architecture="amd64"))
    assert found.cause is cause
    assert words in found.message


@pytest.mark.parametrize(
    "line", ["cp: write error: No space left on device", "OSError: [Errno 28] nope", "Disk quota exceeded"]
)
def test_a_full_disk_is_recognised_by_the_programs_messages(line: str) -> None:
    assert diagnose(evidence(1, f"working\n{line}\n")).cause is Cause.DISK_FULL
    assert diagnose(evidence(0, f"working\n{line}\n")).cause is None


@pytest.mark.parametrize(
    ("code", "name"), [(0, None), (128, None), (129, "SIGHUP"), (255, None), (137, "SIGKILL")]
)
def test_only_codes_above_128_that_are_signals_have_a_name(code: int, name: str | None) -> None:
    assert signal_name(code) == name


# -- inspection of the program ---------------------------------------------------------------------


class EngineWithFiles(FakeEngine):
    """An engine whose containers have these files. `readable` are those of which it copies files."""

    def __init__(
        self,
        files: dict[str, bytes],
        mode: int = 0o755,
        error: EngineError | None = None,
        readable: Container[Handle] | None = None,
    ) -> None:
        super().__init__()
        self.files = files
        self.mode = mode
        self.error = error
        self.readable = readable

    def create(self, spec: ContainerSpec) -> Handle:
        return "new"

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        if self.readable is not None and handle not in self.readable:
            raise EngineError("openat inputs/script: read-only file system")
        if self.error or source not in self.files:
            raise self.error or ContainerFileMissing("no such path")
        yield tar_of({source.rpartition("/")[2]: self.files[source]}, mode=self.mode)


def program_error(engine: FakeEngine, command: list[str] | None = None) -> Problem | None:
    return find_program_error(engine, "c", image=IMAGE, command=command, descriptor=make())


def test_the_file_of_the_program_is_checked() -> None:
    found = program_error(EngineWithFiles({"/app/run": b"#!/usr/bin/python9\n"}))
    assert found is not None
    assert "the interpreter /usr/bin/python9 of '/app/run' is not in the image" in found.message
    assert "install the interpreter" in found.remedy


def test_an_explicit_command_replaces_that_of_the_image() -> None:
    found = program_error(EngineWithFiles({"/app/run": b"#!/app/run\n"}), ["/bin/other"])
    assert found is not None
    assert "'/bin/other' is not in the image" in found.message


def test_a_valid_program_has_no_error() -> None:
    assert program_error(EngineWithFiles({"/app/run": b"#!/app/run\n"})) is None


def test_the_image_is_inspected_if_the_engine_cannot_read_the_container() -> None:
    found = program_error(EngineWithFiles({"/app/run": b"#!/usr/bin/python9\n"}, readable=["new"]))
    assert found is not None
    assert "the interpreter /usr/bin/python9 of '/app/run' is not in the image" in found.message


def test_a_container_that_cannot_be_read_is_no_proof_of_a_missing_program() -> None:
    assert program_error(EngineWithFiles({}, readable=[])) is None


@pytest.mark.parametrize("cause", [Cause.ENGINE_LOST, Cause.ENGINE_UNREACHABLE])
def test_no_program_error_is_found_if_the_engine_is_lost(cause: Cause) -> None:
    assert program_error(EngineWithFiles({}, error=EngineError("lost", cause=cause))) is None


MISSING = "[FATAL tini (7)] exec /app/run failed: No such file or directory\n"


@pytest.mark.parametrize(
    ("code", "log", "inspected"),
    [
        (127, MISSING, True),
        (127, "/run: line 1: \x7fELF: not found", True),
        (2, "/run: \x7fELF: syntax error", True),
        (127, "frobnicate: not found", False),
        (1, "no ELF file", False),
        (137, "ELF", False),
    ],
)
def test_the_program_is_inspected_if_it_may_not_have_started(code: int, log: str, inspected: bool) -> None:
    found = diagnose(evidence(code, log, find_program_error=lambda: Problem("", "it is broken", "repair it")))
    assert (found.cause is Cause.ENTRYPOINT_INVALID) is inspected
    assert (found.remedy == "repair it") is inspected
    if inspected:
        assert found.message == f"the image's program could not be started: it is broken (exit code {code})"


def test_the_program_is_not_inspected_if_the_image_is_for_another_machine() -> None:
    facts = {"image_architecture": "arm64", "find_program_error": lambda: Problem("", "it is broken")}
    assert diagnose(evidence(127, MISSING, **facts)).cause is Cause.IMAGE_PLATFORM


PODMAN_INIT = "ERROR (catatonit:7): failed to exec pid1: {}\n"


def test_a_program_that_podmans_init_does_not_find_is_named() -> None:
    found = diagnose(
        msgspec.structs.replace(
            evidence(1, PODMAN_INIT.format("No such file or directory")), program="/app/run"
        )
    )
    assert found.cause is Cause.ENTRYPOINT_INVALID
    assert "'/app/run' could not be started: No such file or directory" in found.message


def test_a_program_of_another_machine_is_recognised_by_podmans_init() -> None:
    given = evidence(1, PODMAN_INIT.format("Exec format error"))
    found = diagnose(
        msgspec.structs.replace(
            given, program="/app/run", image_architecture="arm64", engine_architecture="amd64"
        )
    )
    assert found.cause is Cause.IMAGE_PLATFORM
    assert "built for arm64" in found.message


def test_the_first_line_of_a_message_does_not_announce_the_log_that_follows() -> None:
    message = "the task failed with exit code 3" + format_log_tail("one\ntwo\n")
    assert first_line(message) == "the task failed with exit code 3"
    assert first_line("killed\nby a client") == "killed"
    assert first_line("") == ""
