"""The closed list of causes, explained: what happened, why it does, and what to do.

The messages of a task carry the facts of that very task; this table is what holds for every task.
"""

from __future__ import annotations

import msgspec

from localrun.errors import Cause
from localrun.task.record import short_id


class Explanation(msgspec.Struct, frozen=True):
    """What a cause means, in plain words."""

    what: str
    why: str
    remedy: str

    def remedy_for(self, task_id: str) -> str:
        """The remedy for one task: its own id stands where the table says ID."""
        return self.remedy.replace(" ID`", f" {short_id(task_id)}`")


EXPLANATIONS: dict[Cause, Explanation] = {
    Cause.BUNDLE_INVALID: Explanation(
        "The bundle could not be read.",
        "It is not a zip or a folder with a descriptor and an image, or it is not safe to unpack.",
        "Correct what the message names; a bundle is `descriptor.yml` and the image's `.tar`, side by side.",
    ),
    Cause.DESCRIPTOR_INVALID: Explanation(
        "The descriptor breaks its schema.",
        "A key is missing, misspelt, or has a value of another type than the schema asks for.",
        "Correct each place that is listed; line and column point at it.",
    ),
    Cause.INPUTS_INVALID: Explanation(
        "The values do not fit the descriptor.",
        "A required input is missing, or a value breaks its type or a constraint.",
        "Correct each input that is listed, or the constraint in the descriptor.",
    ),
    Cause.DATASET_CHECKSUM: Explanation(
        "The dataset is not the one that was announced.",
        "Its SHA-256 is another one than the order says: it was changed, or cut short on its way.",
        "Compare it with `sha256sum FILE` and fetch it anew, or correct the checksum behind its name.",
    ),
    Cause.IMAGE_INVALID: Explanation(
        "The image archive is broken.",
        "It was cut short, is not the output of `docker save`, or lacks one of its parts.",
        "Save the image again with `docker save IMAGE -o NAME.tar` and bundle it anew.",
    ),
    Cause.IMAGE_MISSING: Explanation(
        "The engine does not have the image.",
        "The name is misspelt, or the image was never built or pulled here.",
        "Build it, load it, or let localrun pull it with `--pull missing`.",
    ),
    Cause.IMAGE_PULL_FAILED: Explanation(
        "The image could not be fetched from its registry.",
        "There is no such image, no permission, or no way to the registry.",
        "Try `docker pull IMAGE`; log in with `docker login`; or bundle the image.",
    ),
    Cause.IMAGE_BUILD_FAILED: Explanation(
        "The Dockerfile could not be built.",
        "One of its instructions failed, or its base image is not to be had.",
        "Read the last lines of the build; `docker build FOLDER` shows all of it.",
    ),
    Cause.IMAGE_PLATFORM: Explanation(
        "The image is for another kind of machine.",
        "Its programs are made for another architecture than this engine's.",
        "Build it for this machine, for example with `docker build --platform linux/amd64`.",
    ),
    Cause.ENTRYPOINT_INVALID: Explanation(
        "The image's program could not be started.",
        "The entrypoint is not in the image, is not executable, or names an interpreter that is not there.",
        "Check ENTRYPOINT and CMD in the Dockerfile, the `#!` line of a script, and `chmod +x`.",
    ),
    Cause.CPU_UNAVAILABLE: Explanation(
        "The task asks for more processors than the engine has.",
        "It could wait for ever and never start.",
        "Ask for less: `configuration.resources.cpus` in the descriptor, or `--cpus`.",
    ),
    Cause.MEMORY_UNAVAILABLE: Explanation(
        "The task asks for more memory than the engine has.",
        "It could wait for ever and never start.",
        "Ask for less: `configuration.resources.ram` in the descriptor, or `--memory`.",
    ),
    Cause.GPU_UNAVAILABLE: Explanation(
        "The task asks for a GPU, and the engine has none to give.",
        "There is no GPU, or the engine was set up without GPU support.",
        "Run without one: `--gpus 0`; or set up the NVIDIA container toolkit.",
    ),
    Cause.DISK_UNAVAILABLE: Explanation(
        "There is too little room on the disk for the task to start.",
        "The disk of the task's folder or of the engine is full, or nearly.",
        "Free some room: `localrun rm`, `docker system df`, `docker image prune`.",
    ),
    Cause.EXIT_NONZERO: Explanation(
        "The task's program ended with an exit code other than 0.",
        "The program reported a failure of its own.",
        "Correct what the program reports; `localrun logs ID` shows all that it wrote.",
    ),
    Cause.SIGNAL: Explanation(
        "The task's program was ended by a signal.",
        "It crashed (SIGSEGV, SIGABRT, SIGILL), or something stopped it.",
        "Read the end of its log; a crash in native code often means a library for another processor.",
    ),
    Cause.OUT_OF_MEMORY: Explanation(
        "The task needed more memory than it asked for.",
        "The kernel ends a process that goes beyond the container's limit.",
        "Raise `configuration.resources.ram` in the descriptor, or `--memory`; or read less at once.",
    ),
    Cause.TIMEOUT: Explanation(
        "The task ran longer than it may.",
        "The limit was too short, or the program hangs.",
        "Raise `--timeout`; the end of the log shows where it was.",
    ),
    Cause.OUTPUTS_INVALID: Explanation(
        "What the task wrote does not fit the descriptor.",
        "An output is missing, blank, of another type, out of its range, or has another name.",
        "Correct each output that is listed; a file is named exactly as its output, without an extension.",
    ),
    Cause.RESULT_NAME_TOO_LONG: Explanation(
        "A file of the result has a longer name than iExec takes.",
        "iExec's workers refuse a result in which any file has a name of more than 31 characters.",
        "Give each file that is listed a shorter name; the names of folders do not count.",
    ),
    Cause.RESULT_NOT_PACKED: Explanation(
        "The output folder could not be packed into the result.",
        "It holds too many files, too deep folders, or something that cannot be read.",
        "Let the app write fewer files and flatter folders to /iexec_out.",
    ),
    Cause.COMPUTED_FILE_MISSING: Explanation(
        "The app has left no computed.json.",
        "iExec learns from this file what the result is; without it the task fails there, and late.",
        "Let the app write /iexec_out/computed.json at its end.",
    ),
    Cause.DIGEST_FAILED: Explanation(
        "No digest of the result can be computed.",
        "computed.json is no JSON, lacks its key, or names what is not there or not in /iexec_out.",
        'Let the app write {"deterministic-output-path": "/iexec_out/FILE"} into it, and that FILE.',
    ),
    Cause.RESULT_TOO_LARGE: Explanation(
        "The packed result is larger than iExec takes.",
        "A worker can upload 50 MiB of a result.",
        "Write less to /iexec_out, or let the app put large data to a place of its own.",
    ),
    Cause.NO_CONSENSUS: Explanation(
        "Too few replicas of the task gave the same result.",
        "It holds something that changes from run to run: a time, a host name, an order, a random number.",
        "Take that out, or sort it; the message names each file and the first place that differs.",
    ),
    Cause.DISK_PRESSURE: Explanation(
        "The task was stopped because the disk was nearly full.",
        "It wrote more than the others did while the disk passed its limit; a full disk stops the machine.",
        "Free some room, or let the task write less; what it wrote so far is in its folder.",
    ),
    Cause.DISK_FULL: Explanation(
        "A disk was full while the task ran.",
        "The program wrote more than there was room for.",
        "Free some room, or let the task write less; with `--hardened` /tmp holds 256 MiB.",
    ),
    Cause.KILLED: Explanation(
        "The task was stopped on request.",
        "Somebody pressed Ctrl+C, sent SIGTERM, or ran `localrun kill`.",
        "Run it again: `localrun rerun ID`.",
    ),
    Cause.RUNNER_TERMINATED: Explanation(
        "The localrun process that carried the task ended before the task did.",
        "It was killed, or the machine was restarted.",
        "Run it again: `localrun rerun ID`.",
    ),
    Cause.ENGINE_UNREACHABLE: Explanation(
        "No container engine answers.",
        "Docker is not running, or the address is wrong, or you may not use it.",
        "Start Docker; check DOCKER_HOST; become a member of the group `docker`.",
    ),
    Cause.ENGINE_LOST: Explanation(
        "The container engine went away while the task ran.",
        "It was stopped or restarted.",
        "Start the engine and run the task again: `localrun rerun ID`.",
    ),
    Cause.ENGINE_FAILED: Explanation(
        "The container engine refused a call.",
        "The message repeats the engine's own words.",
        "Look at the engine's log: `journalctl -u docker`.",
    ),
    Cause.INTERNAL: Explanation(
        "localrun itself failed.",
        "This is a bug of localrun, not of your task.",
        "Report it with the traceback in the task's folder.",
    ),
}


def explain(cause: Cause) -> Explanation:
    """The explanation of a cause; there is one for each."""
    return EXPLANATIONS[cause]
