"""The statuses of Inductiva: the words its users see, and the codes of its API."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "inductiva"
_MACHINES = (
    "It is about machines that are rented by the hour from a provider, who may take them back; this machine"
    " is yours."
)

# fmt: off
TERMS = (
    *make_terms(_SYSTEM, "status", (
        ("Waiting for Input|pending-input", "The task is made, and its input files are not all there yet.",
         "CREATED", "Give what is missing, or submit it again."),
        ("In Queue|submitted", "The task waits for its turn. Here it waits for free processors, memory, GPUs"
         " and disk, not for a machine.", "PROVISIONED, QUEUING, QUEUED",
         "Wait, end another task, or ask for less: `localrun status ID` says what is short."),
        ("Preparing to Compute|started", "The container image and the inputs are being put in place.",
         "PENDING", "Wait, or stop it: `localrun kill ID`."),
        ("In Progress|computation-started", "The program runs.", "RUNNING task",
         "Wait; `localrun logs ID -f` shows what it writes, `localrun kill ID` stops it."),
        ("Finalizing|computation-ended", "The program has ended, and what it wrote is being collected.",
         "RUNNING outputs", "Wait: nothing has to be uploaded here, so it is short."),
        ("Success|success", "The task ended well. Here that also means that every declared output is valid.",
         "FINISHED", "`localrun outputs ID` shows what it gave."),
        ("Pending Kill|pending-kill", "Somebody asked for the task to be stopped, and it is on its way.",
         "CREATED|PROVISIONED|QUEUING|QUEUED|PENDING|RUNNING KILLED",
         "Wait: after the grace time (LOCALRUN_GRACE) the container is stopped in any case."),
        ("Killed|killed", "The task was stopped on request.", "KILLED", "Nothing, or run it again."),
        ("Failed|failed", "The program itself failed: its command did not end with exit code 0. Here also:"
         " what it wrote is not what it promised.",
         "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|ENTRYPOINT_INVALID|OUTPUTS_INVALID"
         "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE|NO_CONSENSUS",
         "Read the end of its log: `localrun logs ID`; then its inputs."),
        ("Task Timed Out|ttl-exceeded", "The program did not end within its time.", "FAILED TIMEOUT",
         "Give it more: `--timeout`; the end of the log shows where it was."),
        ("Runtime Error|executer-failed", "Something around the program failed, most often a full disk; not"
         " the program.",
         "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|INPUTS_INVALID|IMAGE_INVALID|IMAGE_MISSING"
         "|DATASET_CHECKSUM"
         "|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED|IMAGE_PLATFORM|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE"
         "|GPU_UNAVAILABLE|DISK_UNAVAILABLE|DISK_PRESSURE|DISK_FULL|ENGINE_UNREACHABLE|ENGINE_FAILED|INTERNAL",
         "`localrun status ID` says which it was; free some disk if it was that."),
        ("Task Runner Terminated|executer-terminated", "What carried the task went away before the task"
         " ended: there the machine, here the localrun process or the container engine.",
         "FAILED RUNNER_TERMINATED|ENGINE_LOST", "Run it again."),
        ("Machine Terminated in Queue|zombie", "What should run the task ended while it waited for its"
         " turn, so that it has no log and no outputs.", "FAILED RUNNER_TERMINATED", "Run it again."),
    )),
    *make_terms(_SYSTEM, "event", (
        ("TaskOutputStalled|output stalled", "For half an hour no file of the task has changed. Nothing is"
         " done about it.", "=the warning STALLED, which a task that computes in silence does not get",
         "`localrun explain STALLED` says more."),
    )),
    *make_terms(_SYSTEM, "status", (
        ("Machine Terminated by User|executer-terminated-by-user", "The user ended the machine while the"
         " task ran on it. What comes nearest: the server or command was stopped with Ctrl+C.", "KILLED",
         "Run it again, and leave the server up until it ends."),
        ("Machine Time Limit Reached|executer-terminated-ttl-exceeded", "The machine's own time was up, not"
         " that of the task.", "FAILED TIMEOUT",
         "Only a task has a limit here: `--timeout`."),
        ("Spot Reclaimed|spot-instance-preempted", "The provider took a cheap machine back in mid-run.",
         "FAILED RUNNER_TERMINATED", "It cannot happen here; the like of it is a restart of this machine."),
        ("Credits Exhausted|executer-terminated-credits-exhausted", "The account had no credit left to pay"
         " for the machine.", "", "It cannot happen here: nothing is paid for."),
    ), only=Availability.CLOUD, why=_MACHINES),
)
# fmt: on
