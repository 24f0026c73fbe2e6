"""Faults of iExec apps: their inputs and their results."""

from __future__ import annotations

from localrun.errors import Cause
from tests.faults.harness import Arrange, FaultHarness, Row

GOOD = 'echo {\\"deterministic-output-path\\": \\"/iexec_out/r\\"} > computed.json; echo 1 > r'
OTHER = "0" * 64


def app(script: str, *more: object) -> Arrange:
    """Return the arguments of `run` for an app that runs this script in its output folder."""

    def arrange(bench: FaultHarness) -> list[object]:
        args = f"sh -c 'cd /iexec_out; {script}'"
        return [
            bench.image,
            "--profile",
            "iexec",
            "--memory",
            "64Mi",
            "--pull",
            "never",
            "--args",
            args,
            *more,
        ]

    return arrange


def with_dataset(bench: FaultHarness) -> list[object]:
    """Return the arguments for a valid app and a dataset with another checksum."""
    bench.write("data.csv", "1,2\n")
    return [*app(GOOD)(bench), "--dataset", f"data.csv:{OTHER}"]


ROWS = [
    Row(
        Cause.DATASET_CHECKSUM,
        "a modified dataset",
        ("data.csv", f"expected {OTHER}"),
        "sha256sum",
        arrange=with_dataset,
    ),
    Row(
        Cause.RESULT_NAME_TOO_LONG,
        "a file with a name of 32 characters",
        (f"/iexec_out/{'x' * 32}", "32 characters; the limit is 31"),
        "shorter",
        arrange=app(f"{GOOD}; echo > {'x' * 32}"),
    ),
    Row(
        Cause.RESULT_NOT_PACKED,
        "an output folder that is too deep",
        ("nested deeper than",),
        "fewer levels",
        arrange=app(f"{GOOD}; mkdir -p {'d/' * 70}"),
    ),
    Row(
        Cause.COMPUTED_FILE_MISSING,
        "an app without a computed.json",
        ("/iexec_out/computed.json", "is missing"),
        '{"deterministic-output-path": "/iexec_out/FILE"}',
        arrange=app("echo 1 > r"),
    ),
    Row(
        Cause.DIGEST_FAILED,
        "a computed.json whose quotes the shell has taken",
        ("is not JSON",),
        "single quotes",
        arrange=app("echo 1 > r; echo {deterministic-output-path: /iexec_out/r} > computed.json"),
    ),
    Row(
        Cause.DIGEST_FAILED,
        "a missing result",
        ("'/iexec_out/r' does not exist",),
        "write it",
        arrange=app(f"{GOOD}; rm r"),
    ),
    Row(
        Cause.RESULT_TOO_LARGE,
        "a result that is too large to upload",
        ("51 MiB", "more than the upload limit of 50 MiB"),
        "write less",
        arrange=app(f"{GOOD}; dd if=/dev/urandom of=big bs=1048576 count=51"),
    ),
    Row(
        Cause.INPUTS_INVALID,
        "an input file of an unreachable server",
        ("http://127.0.0.1:9/a.csv", "download failed"),
        "http://127.0.0.1:9/a.csv=@FILE",
        arrange=app(GOOD, "--input-file", "http://127.0.0.1:9/a.csv"),
    ),
    Row(
        Cause.TIMEOUT,
        "an app that exceeds its time limit",
        ("exceeded its time limit of 1 s",),
        "--timeout",
        arrange=app("sleep 60", "--timeout", "1s"),
    ),
]
