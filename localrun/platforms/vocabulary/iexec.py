"""The statuses of iExec: of tasks, of replicates, and on the blockchain."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "iexec"
_TASK, _REPLICATE, _CHAIN = "task status", "replicate status", "on-chain status"
_REVEAL = (
    "Workers first commit to a result and reveal it later, so that they cannot copy each other; one machine"
    " needs no such protocol."
)
_TRANSACTION = "It is a blockchain transaction, or waits for one; here there is no blockchain."

# fmt: off
_TASKS = make_terms(_SYSTEM, _TASK, (
    ("RECEIVED", "The scheduler received the task.", "CREATED", "Provide missing inputs, or wait."),
    ("INITIALIZING", "The task is being set up. Here: values are checked and written.", "CREATED", "Wait."),
    ("INITIALIZED", "The task is set up and waits for a worker. Here: for free resources.",
     "PROVISIONED, QUEUING, QUEUED", "`localrun status ID` shows what it waits for."),
    ("RUNNING", "At least one worker runs the task. Here: the image is being prepared, or the program runs.",
     "PENDING, RUNNING task", "Wait, or follow the log: `localrun logs ID -f`."),
    ("CONSENSUS_REACHED", "Enough workers (here: replicas) have the same result; a single run always"
     " agrees.", "RUNNING outputs", "No action needed."),
    ("RESULT_UPLOADING", "The result is being uploaded. Here: outputs are being collected.",
     "RUNNING outputs", "Wait."),
    ("RESULT_UPLOADED", "The result is available to the user.", "RUNNING outputs, FINISHED",
     "`localrun outputs ID` shows it."),
    ("FINALIZING", "The task is being finalized. Here: its container is removed and its record written.",
     "RUNNING outputs", "Wait."),
    ("FINALIZED", "The task is finalized.", "FINISHED", "No action needed."),
    ("COMPLETED", "The task succeeded; a final status.", "FINISHED",
     "`localrun outputs ID` shows its result."),
    ("INITIALIZE_FAILED", "The task could not be set up.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE"
     "|DISK_UNAVAILABLE|ENGINE_UNREACHABLE", "Fix the problem in the message: `localrun status ID`."),
    ("RUNNING_FAILED", "All workers failed. On iExec only enclave tasks get this status; others wait for"
     " their deadline. Here every task fails at once.", "FAILED INPUTS_INVALID|DATASET_CHECKSUM"
     "|DEPENDENCY_FAILED|IMAGE_INVALID|IMAGE_MISSING|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED|IMAGE_PLATFORM"
     "|ENTRYPOINT_INVALID|EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|OUTPUTS_INVALID|DISK_PRESSURE|DISK_FULL"
     "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE"
     "|RUNNER_TERMINATED|ENGINE_LOST|ENGINE_FAILED|INTERNAL",
     "Check the cause, then the log: `localrun status ID`, `localrun logs ID`."),
    ("CONTRIBUTION_TIMEOUT", "No result arrived in time, or too few were the same. On iExec the program"
     " often failed to run at all.", "FAILED TIMEOUT|NO_CONSENSUS",
     "Raise `--timeout`, or check why it hangs or why results differ: `localrun status ID`."),
    ("RESULT_UPLOAD_TIMEOUT", "The time limit was reached while the result was being uploaded.",
     "FAILED TIMEOUT", "Here the limit applies only to the program, not to collecting outputs."),
    ("FINALIZE_FAILED", "The task could not be finalized.", "FAILED DISK_FULL|ENGINE_FAILED|INTERNAL",
     "Check the message; usually the disk is full."),
    ("FINAL_DEADLINE_REACHED", "The time limit of the task's category was reached.", "FAILED TIMEOUT",
     "Raise `--timeout`; without it a task here has no limit."),
    ("FAILED", "The task failed; a final status. The status before it shows why.", "FAILED, KILLED",
     "Check the cause: `localrun status ID`."),
)) + make_terms(_SYSTEM, _TASK, (
    ("AT_LEAST_ONE_REVEALED", "A worker revealed the result that it had committed to.", "RUNNING outputs"),
), only=Availability.CHAIN, why=_REVEAL, remedy="No action needed.") + make_terms(_SYSTEM, _TASK, (
    ("REOPENING", "A task without a revealed result is being reopened for workers."),
    ("REOPENED", "A task without a revealed result was reopened for workers."),
    ("REOPEN_FAILED", "A task could not be reopened for workers.", "FAILED INTERNAL"),
), only=Availability.CHAIN, why=_REVEAL, remedy="Run the task again.")

_REPLICATES = make_terms(_SYSTEM, _REPLICATE, (
    ("CREATED", "A worker was assigned to the task.", "CREATED, PROVISIONED", "Wait."),
    ("STARTING", "The worker checks whether it can run the task. Here: whether enough resources are free.",
     "QUEUING", "`localrun status ID` shows what it waits for."),
    ("STARTED", "The worker accepted the task. Here: the resources are reserved.", "QUEUED",
     "No action needed."),
    ("START_FAILED", "The worker cannot run the task.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE"
     "|DISK_UNAVAILABLE|ENGINE_UNREACHABLE", "Fix the problem in the message."),
    ("APP_DOWNLOADING", "The image is being pulled. Here it may also be built or loaded.", "PENDING",
     "Wait."),
    ("APP_DOWNLOADED", "The image is available.", "PENDING", "No action needed."),
    ("APP_DOWNLOAD_FAILED", "The image is not available. On iExec the task can still end as COMPLETED, with"
     " an error message as its result; here it fails.",
     "FAILED IMAGE_INVALID|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED",
     "Try `docker pull IMAGE`, or add the image to the bundle."),
    ("DATA_DOWNLOADING", "The inputs are being downloaded. Here they are read when the task is submitted.",
     "CREATED", "Wait."),
    ("DATA_DOWNLOADED", "The inputs are available.", "PROVISIONED, PENDING permissions", "No action needed."),
    ("DATA_DOWNLOAD_FAILED", "An input is not available. On iExec the task can still end as COMPLETED; here"
     " it fails.", "FAILED INPUTS_INVALID|DATASET_CHECKSUM|DEPENDENCY_FAILED", "Fix the problems listed."),
    ("COMPUTING", "The program is running.", "PENDING task, RUNNING task",
     "Wait, or follow the log: `localrun logs ID -f`."),
    ("COMPUTED", "The program has ended. On iExec this includes failed programs.", "RUNNING outputs",
     "No action needed; the exit code shows whether it failed."),
    ("COMPUTE_FAILED", "The program, or the check of its outputs, failed.",
     "FAILED IMAGE_MISSING|IMAGE_PLATFORM|ENTRYPOINT_INVALID|EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|TIMEOUT"
     "|OUTPUTS_INVALID|DISK_PRESSURE|DISK_FULL|ENGINE_FAILED"
     "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE",
     "Check the cause, then the log: `localrun logs ID`."),
    ("RESULT_UPLOAD_REQUESTED", "This worker was selected to upload the result.", "RUNNING outputs",
     "No action needed."),
    ("RESULT_UPLOADING", "The worker uploads the result. Here: outputs are being collected.",
     "RUNNING outputs", "Wait."),
    ("RESULT_UPLOAD_FAILED", "The result could not be uploaded.", "FAILED DISK_FULL|RESULT_TOO_LARGE",
     "Check the message; usually the disk is full."),
    ("RESULT_UPLOADED", "The result was uploaded.", "RUNNING outputs, FINISHED",
     "`localrun outputs ID` shows it."),
    ("COMPLETING", "The worker cleans up. Here: the container is removed.", "RUNNING outputs", "Wait."),
    ("COMPLETED", "The replicate succeeded.", "FINISHED", "No action needed."),
    ("COMPLETE_FAILED", "The worker could not clean up. Here this is only a warning.",
     "FINISHED, FAILED", "Look for remaining containers: `docker ps -a`."),
    ("FAILED", "The replicate failed.", "FAILED", "Check the cause: `localrun status ID`."),
    ("ABORTED", "The worker was asked to stop.", "KILLED", "No action needed, or run it again."),
    ("RECOVERING", "The worker was restarted and resumes the task. Here: another process resumes it.",
     "PENDING, RUNNING", "Wait."),
    ("WORKER_LOST", "The worker stopped responding. Here: the process that ran the task, or the container"
     " engine, is gone.", "FAILED RUNNER_TERMINATED|ENGINE_LOST", "Run it again."),
)) + make_terms(_SYSTEM, _REPLICATE, (
    ("CONTRIBUTING", "The worker submits the digest of its result.", "RUNNING outputs"),
    ("CONTRIBUTED", "The digest was recorded.", "RUNNING outputs"),
    ("CONTRIBUTE_FAILED", "The digest could not be recorded.", "FAILED DIGEST_FAILED"),
    ("CONTRIBUTE_AND_FINALIZE_ONGOING", "A single trusted worker submits its digest and finalizes the task"
     " in one transaction.", "RUNNING outputs"),
    ("CONTRIBUTE_AND_FINALIZE_DONE", "A single trusted worker submitted its digest and finalized the task.",
     "FINISHED"),
    ("CONTRIBUTE_AND_FINALIZE_FAILED", "The combined transaction of digest and finalization failed.",
     "FAILED DIGEST_FAILED"),
), only=Availability.CHAIN, why=_TRANSACTION, remedy="Check the result: `localrun outputs ID`.") + make_terms(
    _SYSTEM, _REPLICATE, (
    ("REVEALING", "The worker proves that it computed the digest."),
    ("REVEALED", "The worker has proved that it computed the digest."),
    ("REVEAL_FAILED", "The worker could not prove that it computed the digest."),
), only=Availability.CHAIN, why=_REVEAL, remedy="It cannot happen here.")

_ON_CHAIN = make_terms(_SYSTEM, _CHAIN, (
    ("UNSET", "The task is not on the blockchain yet.", "CREATED"),
    ("ACTIVE", "The task accepts results.", "PENDING, RUNNING"),
    ("REVEALING", "Enough equal results arrived and must now be revealed.", "RUNNING outputs"),
    ("COMPLETED", "The result of the task is recorded.", "FINISHED"),
    ("FAILED", "The task was closed without a result.", "FAILED, KILLED"),
    ("TIMEOUT", "The final deadline passed without a result; the payment can be claimed back.",
     "FAILED TIMEOUT"),
), only=Availability.CHAIN, why=_TRANSACTION, remedy="`localrun status ID` shows the task here.")
# fmt: on

TERMS = (*_TASKS, *_REPLICATES, *_ON_CHAIN)
