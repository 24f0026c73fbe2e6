"""The output of BuildKit's clients, as different versions print it."""

from __future__ import annotations

import pytest

from localrun.engines.dockerd.builders.plain_output import PlainOutput

OLD = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:75265018ddb96a8858a1605ba1205173f9a23ff11c85fee5305a844f28357c57
#1 DONE 0.0s
#3 [internal] load build context
#3 transferring context: 12.5MB 2.1s
#3 transferring context: 14.00kB 2.3s done
#4 [tools 1/3] FROM docker.io/library/base
#4 CACHED
#6 [tools 2/3] RUN make; exit 3
#6 0.185 two
#6 0.190
#7 [stage-1 2/4] RUN sleep 9
#6 0.297 #7 DONE 1s
#6 ERROR: executor failed running [/bin/sh -c make]: exit code: 3
#7 CANCELED
------
 > [tools 2/3] RUN make; exit 3:
------
executor failed running [/bin/sh -c make]: exit code: 3
"""
NEW_END = """\
------
 > [2/2] RUN make:
0.1 two
------
Dockerfile:2
--------------------
   1 |     FROM a
   2 | >>> RUN make
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c make" did not complete: exit code: 2
"""


def follow(text: str) -> tuple[PlainOutput, list[tuple[str, int, int | None]]]:
    steps: list[tuple[str, int, int | None]] = []
    output = PlainOutput(lambda *step: steps.append(step))
    for line in text.splitlines():
        output.feed(line)
    return output, steps


def test_steps_are_reported_when_they_start_and_end() -> None:
    _, steps = follow(OLD.replace("#6 ERROR", "#6 DONE 12.3s\n#9 ERROR"))
    assert [step for step in steps if step[2]] == [
        ("[tools 1/3] FROM docker.io/library/base", 1, 3),
        ("[tools 1/3] FROM docker.io/library/base (cached)", 1, 3),
        ("[tools 2/3] RUN make; exit 3", 2, 3),
        ("[stage-1 2/4] RUN sleep 9", 2, 4),
        ("[tools 2/3] RUN make; exit 3 (12.3 s)", 2, 3),
    ]


def test_the_transferred_bytes_of_the_context_are_reported() -> None:
    _, steps = follow(OLD)
    sent = [done for what, done, _ in steps if what == "sending the context"]
    assert sent == [12_500_000, 14_000]


def test_the_failed_step_has_its_own_last_lines() -> None:
    output, _ = follow(OLD)
    assert output.failed is not None
    assert output.failed.instruction == "RUN make; exit 3"
    assert list(output.failed.lines) == ["two", "#7 DONE 1s"]
    assert output.reason == "executor failed running [/bin/sh -c make]: exit code: 3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NEW_END, 'process "/bin/sh -c make" did not complete: exit code: 2'),
        (
            "ERROR: failed to solve: rpc error: code = Unknown desc = failed to solve with frontend"
            " dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: Unknown flag: x",
            "dockerfile parse error line 2: Unknown flag: x",
        ),
        ("WARNING: something\nunknown flag: --builder\n", "unknown flag: --builder"),
        ("", "no reason given"),
    ],
)
def test_the_reason_is_the_last_error_without_the_names_of_the_parts(text: str, reason: str) -> None:
    assert follow(text)[0].reason == reason


def test_the_callback_may_end_the_build() -> None:
    def cancel(_what: str, _done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PlainOutput(cancel).feed("#1 [internal] load build definition from Dockerfile")
