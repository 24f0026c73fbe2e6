"""The failure causes of iExec's replicates, but for those of enclaves."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM, _KIND = "iexec", "failure cause"
_LEDGER = (
    "It needs a blockchain, with deposits, gas and blocks; on one machine nobody must be paid, or held to"
    " account."
)
_CHAIN_REMEDY = "It cannot happen here: run the task again without a chain."

# fmt: off
_COMMON = make_terms(_SYSTEM, _KIND, (
    ("TASK_NOT_ACTIVE", "The task had ended or was called off when the worker looked.", "KILLED",
     "Look at its end: `localrun status ID`."),
    ("CONTRIBUTION_TIMEOUT", "The time for results was up before enough of them were the same.",
     "FAILED TIMEOUT|NO_CONSENSUS",
     "Give it more time with `--timeout`; when results differ, look where: `localrun status ID`."),
    ("CONTRIBUTION_ALREADY_SET", "The worker has a result of this task already. Here a task that has ended"
     " is never run once more under its id.", "FINISHED", "Run it again: it gets a new id."),
    ("WORKERPOOL_AUTHORIZATION_NOT_FOUND", "The worker lacks the permission to work on this task. What comes"
     " nearest: you may not use the container engine.", "FAILED ENGINE_UNREACHABLE",
     "Become a member of the group `docker`, or check DOCKER_HOST."),
    ("APP_IMAGE_DOWNLOAD_FAILED", "The image could not be fetched.",
     "FAILED IMAGE_PULL_FAILED|IMAGE_INVALID|IMAGE_BUILD_FAILED",
     "Try `docker pull IMAGE`; check its name and your login; or bundle the image."),
    ("APP_NOT_FOUND_LOCALLY", "The image is not on the machine, although it should be by now.",
     "FAILED IMAGE_MISSING", "Load or build it, or let it be pulled: `--pull missing`."),
    ("APP_COMPUTE_FAILED", "The program could not be started, crashed, or ended with another exit code"
     " than 0. Here the cause tells these apart.",
     "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|ENTRYPOINT_INVALID|IMAGE_PLATFORM|DISK_PRESSURE|DISK_FULL"
     "|ENGINE_FAILED", "Read the end of its log: `localrun logs ID`."),
    ("POST_COMPUTE_COMPUTED_FILE_NOT_FOUND", "The program did not leave a `computed.json`.",
     "FAILED COMPUTED_FILE_MISSING", "Write `/iexec_out/computed.json` at the end of the program."),
    ("POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED", "What `computed.json` points to is not there, lies"
     " outside the output folder, or cannot be read. For a bundle: an output does not fit.",
     "FAILED DIGEST_FAILED|OUTPUTS_INVALID",
     "Let `deterministic-output-path` name a file or folder below `/iexec_out`."),
    ("POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME", "A file of the result has a name of more than 31 characters.",
     "FAILED RESULT_NAME_TOO_LONG", "Give it a shorter name."),
    ("POST_COMPUTE_OUT_FOLDER_ZIP_FAILED", "The output folder could not be packed, mostly for a full disk.",
     "FAILED DISK_FULL|RESULT_NOT_PACKED", "Free some room; look for files that may not be read."),
    ("POST_COMPUTE_SEND_COMPUTED_FILE_FAILED", "`computed.json` could not be handed on. There a missing file"
     " is called so too, unless the task runs in an enclave.", "FAILED COMPUTED_FILE_MISSING",
     "Write `/iexec_out/computed.json` at the end of the program."),
    ("DETERMINISM_HASH_NOT_FOUND", "There is no digest of the result to compare. There it is often all that"
     " is seen of a program that failed.", "FAILED COMPUTED_FILE_MISSING|DIGEST_FAILED|EXIT_NONZERO",
     "Look at the exit code and the log first: `localrun logs ID`."),
    ("RESULT_LINK_MISSING", "The worker handed a result over and did not say where. What comes nearest: the"
     " task's folder could not take the outputs.", "FAILED RESULT_NOT_PACKED|DISK_FULL",
     "Look at the task's folder: `localrun status ID`."),
    ("TASK_DESCRIPTION_INVALID", "What the task asks for contradicts itself.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID", "Correct what `localrun validate BUNDLE` lists."),
    ("DATASET_FILE_DOWNLOAD_FAILED", "The dataset could not be fetched. Here inputs are files of this"
     " machine.", "FAILED INPUTS_INVALID", "Check the path of the file that is given."),
    ("DATASET_FILE_BAD_CHECKSUM", "The dataset is not the one that was announced: its digest differs.",
     "FAILED DATASET_CHECKSUM", "Compare it with `sha256sum FILE`, and fetch it anew."),
    ("INPUT_FILES_DOWNLOAD_FAILED", "An input file could not be fetched. Here: an input is missing or does"
     " not fit.", "FAILED INPUTS_INVALID", "Check the path of each file that is given."),
))
_CHAIN = make_terms(_SYSTEM, _KIND, (
    ("REVEAL_TIMEOUT", "The worker did not show its result in time after the others agreed."),
    ("CHAIN_UNREACHABLE", "The worker could not read the task from the chain. What comes nearest: the"
     " container engine does not answer.", "FAILED ENGINE_UNREACHABLE"),
    ("STAKE_TOO_LOW", "The worker's deposit is too small for this task. What comes nearest: the machine has"
     " too little of what the task asks for.",
     "FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE"),
    ("OUT_OF_GAS", "The worker's wallet cannot pay for its transactions."),
    ("CHAIN_RECEIPT_NOT_VALID", "The chain refused the worker's transaction."),
    ("CONSENSUS_BLOCK_MISSING", "The worker was asked to show its result, and not told since which block."),
    ("BLOCK_NOT_REACHED", "The worker's view of the chain is behind the block of the agreement."),
    ("CANNOT_REVEAL", "Showing the result is not allowed now: a deadline, a state or a digest is wrong."),
), only=Availability.CHAIN, why=_LEDGER, remedy=_CHAIN_REMEDY)
_LATER = make_terms(_SYSTEM, _KIND, (
    ("APP_COMPUTE_TIMEOUT", "The program ran longer than its category allows, and was stopped.",
     "FAILED TIMEOUT", "Give it more time with `--timeout`; the end of the log shows where it was."),
    ("CONSENSUS_REACHED", "Others agreed on a result before this worker was done.", "KILLED", "Nothing."),
    ("ABORTED_BY_WORKER", "The worker gave the task up by itself.", "KILLED, FAILED RUNNER_TERMINATED",
     "Run it again."),
    ("UNKNOWN", "Nobody knows why it failed.", "FAILED INTERNAL|RUNNER_TERMINATED|ENGINE_LOST",
     "Look at `localrun status ID`, and report it if it is a bug."),
)) + make_terms(_SYSTEM, _KIND, (
    ("TASK_DESCRIPTION_NOT_FOUND", "The worker has no description of the task, which comes from the chain.",
     "FAILED BUNDLE_INVALID"),
    ("TRUST_NOT_1", "Closing a task in one go needs a task that trusts a single worker."),
    ("TASK_ALREADY_CONTRIBUTED", "Another worker's digest is recorded already."),
), only=Availability.CHAIN, why=_LEDGER, remedy=_CHAIN_REMEDY)
# fmt: on

TERMS = (*_COMMON, *_CHAIN, *_LATER)
