"""Nondeterministic results."""

from __future__ import annotations

from localrun.errors import Cause
from tests.faults.harness import Row

TWICE = ("--replicas", 2)
NUMBER = "busybox hostname | busybox tr -d 'a-z-' > /outputs/sum"

ROWS = [
    Row(
        Cause.NO_CONSENSUS,
        "a result that contains the host name",
        (
            "each of the 2 replicas gave a different result; 2 must agree",
            "outputs/sum: differs at line 1, column 1 (byte 0)",
            "replica 1: '1",
            "replica 2: '2",
        ),
        "remove values that vary between runs",
        script=NUMBER,
        more=TWICE,
    ),
    Row(
        Cause.NO_CONSENSUS,
        "a program that fails sometimes",
        ("1 of 2 replicas gave the same result", "replica 2: gave no result (EXIT_NONZERO)", "exit code 3"),
        "remove values that vary between runs",
        script="[ $PYTHONHASHSEED = 2 ] && exit 3; echo 7 > /outputs/sum",
        more=TWICE,
    ),
    Row(
        Cause.EXIT_NONZERO,
        "a program that fails in every replica",
        ("all 2 replicas failed", "exit code 3"),
        "Correct the problem that the program reports",
        script="echo no model >&2; exit 3",
        more=TWICE,
        facts={"exit_code": 3},
    ),
]
