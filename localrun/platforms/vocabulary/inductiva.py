"""The statuses of Inductiva: the titles that users see, and the codes of its API."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "inductiva"
_MACHINES = (
    "It concerns machines that are rented from a cloud provider, who may reclaim them; this machine is yours."
)

# fmt: off
TERMS = (
    *make_terms(_SYSTEM, "status", (
        ("Waiting for Input|pending-input", "The task was created, but some input files are missing.",
         "CREATED", "Provide the missing inputs, or submit the task again."),
        ("In Queue|submitted", "The task waits for its turn. Here it waits for free CPUs, memory, GPUs and"
         " disk space, not for a machine.", "PROVISIONED, QUEUING, QUEUED",
         "Wait, stop another task, or request less: `localrun status ID` shows what is short."),
        ("Preparing to Compute|started", "The container image and the inputs are being prepared.",
         "PENDING", "Wait, or stop it: `localrun kill ID`."),
        ("In Progress|computation-started", "The program is running.", "RUNNING task",
         "Wait; `localrun logs ID -f` follows the log, `localrun kill ID` stops the task."),
        ("Finalizing|computation-ended", "The program has ended, and its outputs are being collected.",
         "RUNNING outputs", "Wait; nothing is uploaded here, so this is short."),
        ("Success|success", "The task succeeded. Here all declared outputs are also valid.",
         "FINISHED", "`localrun outputs ID` shows the outputs."),
        ("Pending Kill|pending-kill", "A stop was requested and is in progress.",
         "CREATED|PROVISIONED|QUEUING|QUEUED|PENDING|RUNNING KILLED",
         "Wait; after the grace period (LOCALRUN_GRACE) the container is killed."),
        ("Killed|killed", "The task was stopped on request.", "KILLED", "No action needed, or run it again."),
        ("Failed|failed", "The program failed: its command ended with a non-zero exit code. Here also: an"
         " output is invalid.", "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|ENTRYPOINT_INVALID|OUTPUTS_INVALID"
         "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE|NO_CONSENSUS",
         "Read the end of its log: `localrun logs ID`; then check its inputs."),
        ("Task Timed Out|ttl-exceeded", "The program exceeded its time limit.", "FAILED TIMEOUT",
         "Raise `--timeout`; the end of the log shows how far the program got."),
        ("Runtime Error|executer-failed", "The environment of the program failed, usually because of a full"
         " disk.", "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|INPUTS_INVALID|IMAGE_INVALID|IMAGE_MISSING"
         "|DATASET_CHECKSUM|DEPENDENCY_FAILED"
         "|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED|IMAGE_PLATFORM|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE"
         "|GPU_UNAVAILABLE|DISK_UNAVAILABLE|DISK_PRESSURE|DISK_FULL|ENGINE_UNREACHABLE|ENGINE_FAILED|INTERNAL",
         "`localrun status ID` shows the cause; free disk space if the disk was full."),
        ("Task Runner Terminated|executer-terminated", "The task's runner terminated before the task ended:"
         " on Inductiva the machine, here the localrun process or the container engine.",
         "FAILED RUNNER_TERMINATED|ENGINE_LOST", "Run it again."),
        ("Machine Terminated in Queue|zombie", "The runner terminated while the task was queued, so it has"
         " no log and no outputs.", "FAILED RUNNER_TERMINATED", "Run it again."),
    )),
    *make_terms(_SYSTEM, "event", (
        ("TaskOutputStalled|output stalled", "No file of the task has changed for half an hour. The task"
         " continues.", "=the warning STALLED, which ignores tasks that use the CPU",
         "See `localrun explain STALLED`."),
    )),
    *make_terms(_SYSTEM, "status", (
        ("Machine Terminated by User|executer-terminated-by-user", "The user terminated the machine while"
         " the task ran. The closest case here: the server or command was stopped with Ctrl+C.", "KILLED",
         "Run it again, and do not stop the server before it ends."),
        ("Machine Time Limit Reached|executer-terminated-ttl-exceeded", "The time limit of the machine was"
         " reached, not that of the task.", "FAILED TIMEOUT", "Here only tasks have a limit: `--timeout`."),
        ("Spot Reclaimed|spot-instance-preempted", "The provider reclaimed a spot machine during the run.",
         "FAILED RUNNER_TERMINATED", "It cannot happen here; the closest case is a restart of this machine."),
        ("Credits Exhausted|executer-terminated-credits-exhausted", "The account had no credits left to pay"
         " for the machine.", "", "It cannot happen here: nothing is charged."),
    ), only=Availability.CLOUD, why=_MACHINES),
)
# fmt: on
