"""The statuses of iExec: of tasks, of their replicates, and on the chain."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "iexec"
_TASK, _REPLICATE, _CHAIN = "task status", "replicate status", "on-chain status"
_REVEAL = (
    "Workers that do not trust each other first commit to a result and show it later, so that none can copy;"
    " on one machine there is nobody to copy from."
)
_ONE = "It is a transaction, or waits for one; on one machine there is no chain to write to."

# fmt: off
_TASKS = make_terms(_SYSTEM, _TASK, (
    ("RECEIVED", "The scheduler knows of the task.", "CREATED", "Give what is missing, or wait."),
    ("INITIALIZING", "The task is being set up. Here: values are checked and written.", "CREATED", "Wait."),
    ("INITIALIZED", "The task is set up and waits for somebody to work on it. Here: for free resources.",
     "PROVISIONED, QUEUING, QUEUED", "`localrun status ID` says what it waits for."),
    ("RUNNING", "At least one worker is at work. Here: the image is prepared, or the program runs.",
     "PENDING, RUNNING task", "Wait, or read along: `localrun logs ID -f`."),
    ("CONSENSUS_REACHED", "Enough workers (here: replicas) gave the same; a single run agrees with itself.",
     "RUNNING outputs", "Nothing."),
    ("RESULT_UPLOADING", "The result is being put where its user gets it. Here: outputs are collected.",
     "RUNNING outputs", "Wait."),
    ("RESULT_UPLOADED", "The result is where its user gets it.", "RUNNING outputs, FINISHED",
     "`localrun outputs ID` shows it."),
    ("FINALIZING", "The task is being closed. Here: its container is removed, its record written.",
     "RUNNING outputs", "Wait."),
    ("FINALIZED", "The task is closed.", "FINISHED", "Nothing."),
    ("COMPLETED", "The task ended well, for good.", "FINISHED", "`localrun outputs ID` shows its result."),
    ("INITIALIZE_FAILED", "The task could not be set up.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE"
     "|DISK_UNAVAILABLE|ENGINE_UNREACHABLE",
     "Correct what the message names: `localrun status ID`."),
    ("RUNNING_FAILED", "All who worked on the task failed. There it is said of enclave tasks only, and"
     " others wait until their time is up; here every task fails at once.",
     "FAILED INPUTS_INVALID|DATASET_CHECKSUM"
     "|IMAGE_INVALID|IMAGE_MISSING|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED|IMAGE_PLATFORM"
     "|ENTRYPOINT_INVALID|EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|OUTPUTS_INVALID|DISK_PRESSURE|DISK_FULL"
     "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE"
     "|RUNNER_TERMINATED|ENGINE_LOST|ENGINE_FAILED|INTERNAL",
     "Look at the cause, then the log: `localrun status ID`, `localrun logs ID`."),
    ("CONTRIBUTION_TIMEOUT", "No result came in time, or too few were the same. There it often hides a"
     " program that cannot run.", "FAILED TIMEOUT|NO_CONSENSUS",
     "Give it more time with `--timeout`, or look why it hangs or why results differ: `localrun status ID`."),
    ("RESULT_UPLOAD_TIMEOUT", "The time was up while the result was on its way to its user.",
     "FAILED TIMEOUT", "Here a limit ends with the program: collecting outputs is not counted."),
    ("FINALIZE_FAILED", "The task could not be closed.", "FAILED DISK_FULL|ENGINE_FAILED|INTERNAL",
     "Look at the message: mostly the disk is full."),
    ("FINAL_DEADLINE_REACHED", "All the time of the task's category was up.", "FAILED TIMEOUT",
     "Give it more time with `--timeout`; without it a task here may run for ever."),
    ("FAILED", "The task ended badly, for good; the status before it says why.", "FAILED, KILLED",
     "Look at the cause: `localrun status ID`."),
)) + make_terms(_SYSTEM, _TASK, (
    ("AT_LEAST_ONE_REVEALED", "A worker showed the result that it had committed to.", "RUNNING outputs"),
), only=Availability.CHAIN,
   why=_REVEAL, remedy="Nothing.") + make_terms(_SYSTEM, _TASK, (
    ("REOPENING", "A task without a shown result is being opened for workers again."),
    ("REOPENED", "A task without a shown result was opened for workers again."),
    ("REOPEN_FAILED", "A task could not be opened for workers again.", "FAILED INTERNAL"),
), only=Availability.CHAIN,
   why=_REVEAL, remedy="Run the task again.")

_REPLICATES = make_terms(_SYSTEM, _REPLICATE, (
    ("CREATED", "A worker was given its share of the task.", "CREATED, PROVISIONED", "Wait."),
    ("STARTING", "The worker checks whether it can do it. Here: whether there are free resources.",
     "QUEUING", "`localrun status ID` says what it waits for."),
    ("STARTED", "The worker will do it. Here: the resources are reserved.", "QUEUED", "Nothing."),
    ("START_FAILED", "The worker cannot do it.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE"
     "|DISK_UNAVAILABLE|ENGINE_UNREACHABLE", "Correct what the message names."),
    ("APP_DOWNLOADING", "The image is being fetched. Here it may also be built or loaded.", "PENDING",
     "Wait."),
    ("APP_DOWNLOADED", "The image is there.", "PENDING", "Nothing."),
    ("APP_DOWNLOAD_FAILED", "The image could not be had. There the task can still end as COMPLETED, with an"
     " error text as its result; here it fails.",
     "FAILED IMAGE_INVALID|IMAGE_PULL_FAILED|IMAGE_BUILD_FAILED", "Try `docker pull IMAGE`, or bundle it."),
    ("DATA_DOWNLOADING", "The inputs are being fetched. Here they are read when the task is submitted.",
     "CREATED", "Wait."),
    ("DATA_DOWNLOADED", "The inputs are there.", "PROVISIONED, PENDING permissions", "Nothing."),
    ("DATA_DOWNLOAD_FAILED", "An input could not be had. There the task can still end as COMPLETED; here it"
     " fails.", "FAILED INPUTS_INVALID|DATASET_CHECKSUM", "Correct each input that is listed."),
    ("COMPUTING", "The program runs.", "PENDING task, RUNNING task", "Wait, or `localrun logs ID -f`."),
    ("COMPUTED", "The program has ended. There this is said even when it failed.", "RUNNING outputs",
     "Nothing: whether it failed says its exit code."),
    ("COMPUTE_FAILED", "The program, or the check of what it wrote, failed.",
     "FAILED IMAGE_MISSING|IMAGE_PLATFORM|ENTRYPOINT_INVALID|EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|TIMEOUT"
     "|OUTPUTS_INVALID|DISK_PRESSURE|DISK_FULL|ENGINE_FAILED"
     "|RESULT_NAME_TOO_LONG|RESULT_NOT_PACKED|COMPUTED_FILE_MISSING|DIGEST_FAILED|RESULT_TOO_LARGE",
     "Look at the cause, then the log: `localrun logs ID`."),
    ("RESULT_UPLOAD_REQUESTED", "This worker was chosen to hand the result over.", "RUNNING outputs",
     "Nothing."),
    ("RESULT_UPLOADING", "The worker hands the result over. Here: outputs are collected.",
     "RUNNING outputs", "Wait."),
    ("RESULT_UPLOAD_FAILED", "The result could not be handed over.", "FAILED DISK_FULL|RESULT_TOO_LARGE",
     "Look at the message: mostly the disk is full."),
    ("RESULT_UPLOADED", "The result was handed over.", "RUNNING outputs, FINISHED",
     "`localrun outputs ID` shows it."),
    ("COMPLETING", "The worker clears up. Here: the container is removed.", "RUNNING outputs", "Wait."),
    ("COMPLETED", "This worker's share ended well.", "FINISHED", "Nothing."),
    ("COMPLETE_FAILED", "The worker could not clear up. Here that is a warning and fails no task.",
     "FINISHED, FAILED", "Look for what stayed: `docker ps -a`."),
    ("FAILED", "This worker's share ended badly.", "FAILED", "Look at the cause: `localrun status ID`."),
    ("ABORTED", "The worker was told to stop.", "KILLED", "Nothing, or run it again."),
    ("RECOVERING", "The worker was stopped and goes on where it was. Here: another process carries the"
     " task on.", "PENDING, RUNNING", "Wait."),
    ("WORKER_LOST", "Nothing was heard of the worker for a while. Here: the process or the engine that"
     " carried the task is gone.", "FAILED RUNNER_TERMINATED|ENGINE_LOST", "Run it again."),
)) + make_terms(_SYSTEM, _REPLICATE, (
    ("CONTRIBUTING", "The worker sends the digest of its result.", "RUNNING outputs"),
    ("CONTRIBUTED", "The digest was recorded.", "RUNNING outputs"),
    ("CONTRIBUTE_FAILED", "The digest could not be recorded.", "FAILED DIGEST_FAILED"),
    ("CONTRIBUTE_AND_FINALIZE_ONGOING", "One trusted worker sends its digest and closes the task in one go.",
     "RUNNING outputs"),
    ("CONTRIBUTE_AND_FINALIZE_DONE", "One trusted worker sent its digest and closed the task.", "FINISHED"),
    ("CONTRIBUTE_AND_FINALIZE_FAILED", "Digest and closing in one go did not succeed.",
     "FAILED DIGEST_FAILED"),
), only=Availability.CHAIN,
   why=_ONE, remedy="Look at the result itself: `localrun outputs ID`.") + make_terms(
    _SYSTEM, _REPLICATE, (
    ("REVEALING", "The worker proves that the digest was its own."),
    ("REVEALED", "The worker has proved that the digest was its own."),
    ("REVEAL_FAILED", "The worker could not prove that the digest was its own."),
), only=Availability.CHAIN,
   why=_REVEAL, remedy="It cannot happen here.")

_ON_CHAIN = make_terms(_SYSTEM, _CHAIN, (
    ("UNSET", "The chain does not know the task yet.", "CREATED"),
    ("ACTIVE", "The chain takes results for the task.", "PENDING, RUNNING"),
    ("REVEALING", "Enough equal results came, and are now to be shown.", "RUNNING outputs"),
    ("COMPLETED", "The chain has the result of the task.", "FINISHED"),
    ("FAILED", "The chain has closed the task without a result.", "FAILED, KILLED"),
    ("TIMEOUT", "The final deadline has passed without a result; a payment can be claimed back.",
     "FAILED TIMEOUT"),
), only=Availability.CHAIN,
   why=_ONE, remedy="`localrun status ID` shows what there is here.")
# fmt: on

TERMS = (*_TASKS, *_REPLICATES, *_ON_CHAIN)
