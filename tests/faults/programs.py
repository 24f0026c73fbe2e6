"""Faults of the program in the image: its start, its end, and its outputs."""

from __future__ import annotations

from pathlib import Path

from localrun.errors import Cause
from tests.cli.command import Process
from tests.faults.harness import ARM64, SUM, FaultHarness, Row, descriptor

HANGS = "echo ready; exec sleep 60"
IGNORES = "trap '' TERM; echo ready; while :; do sleep 0.2; done"


def _wait_for_the_warning(bench: FaultHarness, process: Process) -> None:
    process.read_until("the task may be stuck")
    (task,) = bench.tasks()
    Path(task["folder"], "outputs", "go").write_text("7\n")


STARTS = [
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a program that is not in the image",
        ("'/app/nothing' is not in the image", "exit code 1"),
        "correct ENTRYPOINT or CMD",
        arrange=lambda bench: bench.imaged({}, Cmd=["/app/nothing"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a name that is not in the PATH",
        ("'count' is not in the image's PATH (/bin)",),
        "correct ENTRYPOINT or CMD",
        arrange=lambda bench: bench.imaged({}, Cmd=["count", "--all"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a program that is not executable",
        ("'/app/run' is not executable", "exit code 1"),
        "RUN chmod +x /app/run",
        arrange=lambda bench: bench.imaged({"app/run": b"#!/bin/sh\n"}, mode=0o644, Cmd=["/app/run"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a folder",
        ("'/etc' is a folder, not a program",),
        "use the path of the program in it",
        arrange=lambda bench: bench.imaged({}, Cmd=["/etc"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a script whose interpreter is missing",
        ("the interpreter /usr/bin/python9 of '/app/run' is not in the image",),
        "install the interpreter",
        arrange=lambda bench: bench.imaged({"app/run": b"#!/usr/bin/python9\n"}, Cmd=["/app/run"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a script with Windows line endings",
        ("the first line of '/app/run' ends with a carriage return",),
        "Unix line endings",
        arrange=lambda bench: bench.imaged({"app/run": b"#!/bin/sh\r\n"}, Cmd=["/app/run"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a program for another architecture",
        ("'/app/run' is a program for arm64, in an image for amd64",),
        "build the program for the platform of the image",
        arrange=lambda bench: bench.imaged({"app/run": ARM64}, Cmd=["/app/run"]),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "an image without a command",
        ("neither ENTRYPOINT nor CMD",),
        "add ENTRYPOINT",
        arrange=lambda bench: bench.imaged({}),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a USER that does not exist in the image",
        ("USER", "somebody"),
        "correct USER",
        arrange=lambda bench: bench.imaged({}, Cmd=["sh"], User="somebody"),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "a WORKDIR that is a file",
        ("WORKDIR", "/bin/busybox"),
        "correct WORKDIR",
        arrange=lambda bench: bench.imaged({}, Cmd=["sh"], WorkingDir="/bin/busybox"),
    ),
    Row(
        Cause.ENTRYPOINT_INVALID,
        "an input folder that is a file in the image",
        ("the image has a file at /bin/busybox, but the task needs a folder there",),
        "another input_folder",
        arrange=lambda bench: bench.program(
            "true", descriptor().replace("input_folder: /inputs", "input_folder: /bin/busybox")
        ),
    ),
]
ENDS = [
    Row(
        Cause.EXIT_NONZERO,
        "a program that prints a reason",
        ("exit code 3", "cannot open scan.tif"),
        "`localrun logs ",
        script="echo working; echo cannot open scan.tif >&2; exit 3",
        facts={"exit_code": 3},
    ),
    Row(
        Cause.EXIT_NONZERO,
        "a program that prints nothing",
        ("exit code 1", "its log is empty"),
        "standard error",
        script="exit 1",
        facts={"exit_code": 1},
    ),
    Row(
        Cause.EXIT_NONZERO,
        "a program that fails with complete outputs",
        ("exit code 2",),
        "standard error",
        script="echo 7 > /outputs/sum; exit 2",
        facts={"exit_code": 2, "outputs": {"sum": 7}},
    ),
    Row(
        Cause.EXIT_NONZERO,
        "a program that calls a missing program",
        ("exit code 127 (a program that it called does not exist", "frobnicate: not found"),
        "Correct the problem that the program reports",
        script="frobnicate --all",
    ),
    Row(
        Cause.EXIT_NONZERO,
        "a program that calls one that is not executable",
        ("exit code 126 (a program that it called is not executable", "Permission denied"),
        "Correct the problem that the program reports",
        script="/etc/hosts",
    ),
    Row(
        Cause.EXIT_NONZERO,
        "an exit code that is not a signal",
        ("exit code 255", "it is not"),
        "Correct the problem that the program reports",
        script="echo it is not; exit 255",
        facts={"exit_code": 255},
    ),
    *(
        Row(
            Cause.SIGNAL,
            f"{name} ends it",
            (f"ended by {name} (exit code {128 + number})", "nearly"),
            "end of its log",
            script=f"echo nearly; kill -{number} $$",
            facts={"signal": name, "exit_code": 128 + number},
        )
        for name, number in {
            "SIGHUP": 1,
            "SIGINT": 2,
            "SIGILL": 4,
            "SIGABRT": 6,
            "SIGBUS": 7,
            "SIGFPE": 8,
            "SIGUSR1": 10,
            "SIGSEGV": 11,
            "SIGPIPE": 13,
            "SIGTERM": 15,
            "SIGXCPU": 24,
        }.items()
    ),
    Row(
        Cause.OUT_OF_MEMORY,
        "a program over its memory limit",
        ("exceeded its limit of 16 MiB (exit code 137)",),
        "--memory",
        script="exec tail /dev/zero",
        more=("--memory", "16Mi"),
        facts={"exit_code": 137},
    ),
    Row(
        Cause.SIGNAL,
        "a SIGKILL of unknown origin",
        ("SIGKILL (exit code 137), which localrun did not send", "no sign that memory ran out"),
        "Read the end of its log",
        script="kill -KILL $$",
        facts={"oom": "no", "signal": "SIGKILL"},
    ),
    Row(
        Cause.SIGNAL,
        "an exit code that stands for SIGKILL",
        ("exit code 137", "or exited with this code"),
        "Read the end of its log",
        script="exit 137",
        facts={"exit_code": 137, "oom": "no", "signal": "SIGKILL"},
    ),
    Row(
        None,
        "a child process over the memory limit",
        ("a process of the task was killed for lack of memory (limit 16 MiB), but the task exited with 0",),
        script="tail /dev/zero; echo 7 > /outputs/sum",
        more=("--memory", "16Mi"),
    ),
    Row(
        None,
        "an idle program",
        ("the task may be stuck: no output", "(still running)"),
        script="busybox mkfifo /outputs/go; echo ready; cat /outputs/go > /outputs/sum; rm /outputs/go",
        env={"LOCALRUN_STALL": "0.5"},
        meanwhile=_wait_for_the_warning,
    ),
    Row(
        Cause.TIMEOUT,
        "a program that hangs",
        ("limit of 0.3 s", "ready"),
        "--timeout",
        script=HANGS,
        more=("--timeout", "300ms"),
        facts={"exit_code": 143},
    ),
    Row(
        Cause.TIMEOUT,
        "a program that hangs and ignores the request to end",
        ("limit of 0.3 s", "ready"),
        "--timeout",
        script=IGNORES,
        more=("--timeout", "300ms"),
        env={"LOCALRUN_GRACE": "0.3"},
        facts={"exit_code": 137, "oom": "no"},
    ),
    Row(
        Cause.DISK_FULL,
        "the scratch folder of a hardened task is full",
        ("No space left on device", "exit code 1"),
        "/tmp holds 256 MiB",
        script="dd if=/dev/zero of=/tmp/x bs=1M count=1024",
        more=("--hardened", "--memory", "1Gi"),
    ),
]


def _output(what: str, script: str, says: str, remedy: str, outputs: str = SUM) -> Row:
    def arrange(bench: FaultHarness) -> list[object]:
        return bench.program(script, descriptor(outputs))

    return Row(Cause.OUTPUTS_INVALID, what, (says,), remedy, arrange=arrange, facts={"exit_code": 0})


_OTHER = "{description: another, display_name: O, type: %s}"
_FILE = f"file: {_OTHER % 'file'}"
_LIST = f"list: {_OTHER % '{id: array, subtype: {id: integer}, min_size: 2}'}"
OUTPUTS = [
    _output("missing", "true", "outputs.sum: missing output", "write 'sum' to the output folder"),
    _output(
        "an extension",
        "echo 7 > /outputs/sum.txt",
        "outputs.sum: missing output (found 'sum.txt')",
        "without an extension",
    ),
    _output("blank", "echo ' ' > /outputs/sum", "outputs.sum: blank file", "write the integer to it"),
    _output("ill-typed", "echo seven > /outputs/sum", "invalid integer 'seven'", "expected e.g. 42"),
    _output("out of range", "echo 700 > /outputs/sum", "700 is greater than 100", "at most 100"),
    _output("a folder", "mkdir /outputs/sum", "got a folder", "write a regular file"),
    _output(
        "a link that leaves the folder",
        "ln -s /etc/hostname /outputs/sum",
        "link to '/etc/hostname' leaves the output folder",
        "write a regular file",
    ),
    _output("a pipe", "busybox mkfifo /outputs/sum", "got a pipe", "write a regular file"),
    _output("a device", "busybox mknod /outputs/sum c 1 5", "got a device", "write a regular file"),
    _output("a forbidden file", "ln -s /etc/shadow /outputs/file", "leaves the output folder", "", _FILE),
    _output(
        "an array without its size",
        "mkdir /outputs/list; echo 1 > /outputs/list/0",
        "array.yml",
        "array.yml",
        _LIST,
    ),
    _output(
        "an array that is too small",
        "mkdir /outputs/list; echo 'size: 1' > /outputs/list/array.yml; echo 1 > /outputs/list/0",
        "outputs.list",
        "",
        _LIST,
    ),
    _output(
        "all at once",
        "echo x > /outputs/sum; mkdir /outputs/file",
        "outputs.sum: invalid integer 'x'\noutputs.file: expected a file, got a folder",
        "",
        f"{SUM}\n{_FILE}",
    ),
    Row(
        None,
        "a file more than declared",
        ("undeclared output 'more'",),
        script="echo 7 > /outputs/sum; echo x > /outputs/more",
    ),
]
ROWS = [*STARTS, *ENDS, *OUTPUTS]
