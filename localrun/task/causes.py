"""Explanations of all causes: what happened, why, and what to do.

A task's message has the facts of that task. The texts here hold for every task with the cause.
"""

from __future__ import annotations

import msgspec

from localrun.errors import Cause
from localrun.task.record import short_id


class Explanation(msgspec.Struct, frozen=True):
    """The meaning of a cause, in plain words."""

    what: str
    why: str
    remedy: str

    def remedy_for(self, task_id: str) -> str:
        """Return the remedy with the task's id in place of ID."""
        return self.remedy.replace(" ID`", f" {short_id(task_id)}`")


EXPLANATIONS: dict[Cause, Explanation] = {
    Cause.BUNDLE_INVALID: Explanation(
        "The bundle could not be read.",
        "It is not a zip or a folder with a descriptor and an image, or it is not safe to unpack.",
        "Correct the file named in the message; a bundle holds `descriptor.yml` and the image's `.tar`.",
    ),
    Cause.DESCRIPTOR_INVALID: Explanation(
        "The descriptor does not match its schema.",
        "A key is missing or misspelled, or a value has the wrong type.",
        "Correct each listed place; line and column point to it.",
    ),
    Cause.INPUTS_INVALID: Explanation(
        "The inputs do not match the descriptor.",
        "A required input is missing, or a value has the wrong type or violates a constraint.",
        "Correct each listed input, or the constraint in the descriptor.",
    ),
    Cause.DATASET_CHECKSUM: Explanation(
        "The dataset's checksum does not match.",
        "The file was changed, or its download is incomplete.",
        "Compare it with `sha256sum FILE`; download it again, or correct the checksum after its name.",
    ),
    Cause.DEPENDENCY_FAILED: Explanation(
        "An output of another task, which is an input of this one, did not come or is not valid.",
        "The other task failed, was stopped or deleted, or its output does not match the input's type.",
        "Fix and rerun the other task, then `localrun rerun ID` with `-i NAME=@task:OTHER/OUTPUT`.",
    ),
    Cause.IMAGE_INVALID: Explanation(
        "The image archive is broken.",
        "It is truncated, is not the output of `docker save`, or lacks a part.",
        "Save the image again with `docker save IMAGE -o NAME.tar`, and rebuild the bundle.",
    ),
    Cause.IMAGE_MISSING: Explanation(
        "The engine does not have the image.",
        "The name is misspelled, or the image was never built or pulled on this machine.",
        "Build it, load it, or let localrun pull it with `--pull missing`.",
    ),
    Cause.IMAGE_PULL_FAILED: Explanation(
        "The image could not be pulled from its registry.",
        "The image does not exist, access is denied, or the registry is not reachable.",
        "Try `docker pull IMAGE`; log in with `docker login`; or bundle the image.",
    ),
    Cause.IMAGE_BUILD_FAILED: Explanation(
        "The Dockerfile could not be built.",
        "One of its instructions failed, or its base image is not available.",
        "Read the last lines of the build; `docker build FOLDER` shows all of it.",
    ),
    Cause.IMAGE_PLATFORM: Explanation(
        "The image is for another platform.",
        "Its programs are built for another CPU architecture than this engine's.",
        "Build it for this machine, for example with `docker build --platform linux/amd64`; or install an"
        " emulator on the engine's host: `apt-get install qemu-user-static`, or"
        " `docker run --privileged --rm tonistiigi/binfmt --install all`.",
    ),
    Cause.ENTRYPOINT_INVALID: Explanation(
        "The image's program could not be started.",
        "The entrypoint is not in the image, is not executable, or its interpreter is missing.",
        "Check ENTRYPOINT and CMD in the Dockerfile, the `#!` line of a script, and `chmod +x`.",
    ),
    Cause.CPU_UNAVAILABLE: Explanation(
        "The task requests more CPUs than the engine has.",
        "It could never start.",
        "Request fewer: `configuration.resources.cpus` in the descriptor, or `--cpus`.",
    ),
    Cause.MEMORY_UNAVAILABLE: Explanation(
        "The task requests more memory than the engine has.",
        "It could never start.",
        "Request less: `configuration.resources.ram` in the descriptor, or `--memory`.",
    ),
    Cause.GPU_UNAVAILABLE: Explanation(
        "The task requests a GPU, and the engine has none available.",
        "There is no GPU, or the engine was set up without GPU support.",
        "Run without a GPU: `--gpus 0`; or set up the NVIDIA container toolkit.",
    ),
    Cause.DISK_UNAVAILABLE: Explanation(
        "There is not enough disk space to start the task.",
        "The disk of the task's folder or of the engine is full or nearly full.",
        "Free disk space: `localrun rm`, `docker system df`, `docker image prune`.",
    ),
    Cause.EXIT_NONZERO: Explanation(
        "The task's program exited with a nonzero exit code.",
        "The program reported a failure.",
        "Correct the problem that the program reports; `localrun logs ID` shows its output.",
    ),
    Cause.SIGNAL: Explanation(
        "The task's program was ended by a signal.",
        "It crashed (SIGSEGV, SIGABRT, SIGILL), or it or another process sent the signal.",
        "Read the end of its log; a crash in native code often means a library for another CPU.",
    ),
    Cause.OUT_OF_MEMORY: Explanation(
        "The task needed more memory than its limit.",
        "The kernel kills a process that exceeds the container's memory limit.",
        "Raise `configuration.resources.ram` in the descriptor, or `--memory`; or read less at once.",
    ),
    Cause.TIMEOUT: Explanation(
        "The task exceeded its time limit.",
        "The limit was too short, or the program hangs.",
        "Raise `--timeout`; the end of the log shows where the program was.",
    ),
    Cause.OUTPUTS_INVALID: Explanation(
        "The task's outputs do not match the descriptor.",
        "An output is missing, empty, misnamed, out of range, or of the wrong type.",
        "Correct each listed output; a file has exactly the name of its output, without an extension.",
    ),
    Cause.RESULT_NAME_TOO_LONG: Explanation(
        "The name of a result file is too long for iExec.",
        "iExec's workers reject a result if a file name has more than 31 characters.",
        "Shorten the name of each listed file; the names of folders do not count.",
    ),
    Cause.RESULT_NOT_PACKED: Explanation(
        "The output folder could not be packed into the result.",
        "It holds too many files, too deep folders, or an unreadable file.",
        "Let the app write fewer files and flatter folders to /iexec_out.",
    ),
    Cause.COMPUTED_FILE_MISSING: Explanation(
        "The app did not write computed.json.",
        "iExec reads the path of the result from this file; without it the task fails on iExec.",
        "Let the app write /iexec_out/computed.json before it exits.",
    ),
    Cause.DIGEST_FAILED: Explanation(
        "The digest of the result could not be computed.",
        "computed.json is not valid JSON, lacks its key, or names a path that is not in /iexec_out.",
        'Let the app write {"deterministic-output-path": "/iexec_out/FILE"} into it, and that FILE.',
    ),
    Cause.RESULT_TOO_LARGE: Explanation(
        "The packed result is too large for iExec.",
        "A worker can upload at most 50 MiB.",
        "Write less to /iexec_out, or let the app upload large data itself.",
    ),
    Cause.NO_CONSENSUS: Explanation(
        "Too few replicas of the task gave the same result.",
        "The result varies between runs: a time, a host name, an order, a random number.",
        "Remove the varying part or sort it; the message names each file and the first difference.",
    ),
    Cause.DISK_PRESSURE: Explanation(
        "The task was stopped because the disk was nearly full.",
        "It wrote more than the other tasks while disk usage passed the limit.",
        "Free disk space, or let the task write less; its output so far is in its folder.",
    ),
    Cause.DISK_FULL: Explanation(
        "A disk was full while the task ran.",
        "The program wrote more than the disk could hold.",
        "Free disk space, or let the task write less; with `--hardened` /tmp holds 256 MiB.",
    ),
    Cause.KILLED: Explanation(
        "The task was stopped on request.",
        "It got Ctrl+C, SIGTERM, or `localrun kill`.",
        "Run it again: `localrun rerun ID`.",
    ),
    Cause.RUNNER_TERMINATED: Explanation(
        "The localrun process of the task died before the task ended.",
        "It was killed, or the machine was restarted.",
        "Run it again: `localrun rerun ID`.",
    ),
    Cause.ENGINE_UNREACHABLE: Explanation(
        "The container engine is not reachable.",
        "Docker is not running, its address is wrong, or this user may not use it.",
        "Start Docker; check DOCKER_HOST; add your user to the group `docker`.",
    ),
    Cause.ENGINE_LOST: Explanation(
        "The connection to the container engine was lost while the task ran.",
        "The engine was stopped or restarted, which stops its containers.",
        "Start the engine and run the task again: `localrun rerun ID`; `--retries 1` does so automatically.",
    ),
    Cause.ENGINE_FAILED: Explanation(
        "The container engine rejected a request.",
        "The message quotes the engine.",
        "Look at the engine's log: `journalctl -u docker`.",
    ),
    Cause.INTERNAL: Explanation(
        "localrun itself failed.",
        "This is a bug in localrun, not in your task.",
        "Report it with the traceback in the task's folder.",
    ),
}


def explain(cause: Cause) -> Explanation:
    return EXPLANATIONS[cause]
