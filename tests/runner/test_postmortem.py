from __future__ import annotations

from collections.abc import Iterator

import pytest

from localrun.engines.base import EngineImage, Exit, Handle
from localrun.engines.fake import FakeEngine
from localrun.errors import Cause, EngineError
from localrun.runner import postmortem
from localrun.runner.diagnosis import Diagnosis
from tests.support.descriptors import make
from tests.support.images import tar_of

IMAGE = EngineImage("sha256:1", "linux", "amd64", 1, command=("/app/run",))


class Holding(FakeEngine):
    """An engine whose containers hold these files."""

    def __init__(self, files: dict[str, bytes], mode: int = 0o755, error: EngineError | None = None) -> None:
        super().__init__()
        self.files = files
        self.mode = mode
        self.error = error

    def copy_out(self, handle: Handle, source: str) -> Iterator[bytes]:
        if self.error or source not in self.files:
            raise self.error or EngineError("it has no such path")
        yield tar_of({source.rpartition("/")[2]: self.files[source]}, mode=self.mode)


def look(engine: FakeEngine, command: list[str] | None = None, code: int = 127) -> Diagnosis | None:
    return postmortem.inspect_failed_start(
        engine, "c", image=IMAGE, command=command, descriptor=make(), exit_=Exit(code)
    )


def test_what_lies_where_the_program_should_be_is_told_with_what_to_do() -> None:
    found = look(Holding({"/app/run": b"#!/usr/bin/python9\n"}))
    assert found is not None
    assert found.cause is Cause.ENTRYPOINT_INVALID
    assert "'/app/run' asks for the interpreter /usr/bin/python9, which is not in the image" in found.message
    assert "exit code 127" in found.message
    assert "install the interpreter" in found.remedy


def test_the_command_that_was_asked_for_stands_for_that_of_the_image() -> None:
    found = look(Holding({"/app/run": b"#!/app/run\n"}), ["/bin/other"])
    assert found is not None
    assert "'/bin/other' is not in the image" in found.message


def test_a_program_in_which_nothing_is_wrong_tells_nothing() -> None:
    assert look(Holding({"/app/run": b"#!/app/run\n"})) is None


@pytest.mark.parametrize("cause", [Cause.ENGINE_LOST, Cause.ENGINE_UNREACHABLE])
def test_an_engine_that_goes_away_leaves_the_verdict_as_it_is(cause: Cause) -> None:
    assert look(Holding({}, error=EngineError("it went away", cause=cause))) is None


@pytest.mark.parametrize(
    ("cause", "code", "log", "needed"),
    [
        (Cause.ENTRYPOINT_INVALID, 127, "", True),
        (Cause.EXIT_NONZERO, 127, "/run: line 1: \x7fELF: not found", True),
        (Cause.EXIT_NONZERO, 2, "/run: \x7fELF: syntax error", True),
        (Cause.EXIT_NONZERO, 127, "frobnicate: not found", False),
        (Cause.EXIT_NONZERO, 1, "no ELF file", False),
        (Cause.OUT_OF_MEMORY, 137, "ELF", False),
    ],
)
def test_a_look_is_taken_only_where_it_may_tell_more(cause: Cause, code: int, log: str, needed: bool) -> None:
    assert postmortem.is_needed(Diagnosis(cause), Exit(code), log) is needed
