"""The failure causes of iExec's replicates, except those of enclaves."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM, _KIND = "iexec", "failure cause"
_LEDGER = "It needs a blockchain with deposits, gas and blocks; one machine needs no payments."
_CHAIN_REMEDY = "It cannot happen here; run the task again without a blockchain."

# fmt: off
_COMMON = make_terms(_SYSTEM, _KIND, (
    ("TASK_NOT_ACTIVE", "The task had ended or was cancelled when the worker checked it.", "KILLED",
     "Check how it ended: `localrun status ID`."),
    ("CONTRIBUTION_TIMEOUT", "The deadline passed before enough results were the same.",
     "FAILED TIMEOUT|NO_CONSENSUS", "Raise `--timeout`; if results differ, see where: `localrun status ID`."),
    ("CONTRIBUTION_ALREADY_SET", "The worker already has a result of this task. Here a finished task is"
     " never run again under its id.", "FINISHED", "Run it again; it gets a new id."),
    ("WORKERPOOL_AUTHORIZATION_NOT_FOUND", "The worker is not authorized to run this task. The closest case"
     " here: no permission to use the container engine.", "FAILED ENGINE_UNREACHABLE",
     "Join the group `docker`, or check DOCKER_HOST."),
    ("APP_IMAGE_DOWNLOAD_FAILED", "The image could not be pulled.",
     "FAILED IMAGE_PULL_FAILED|IMAGE_INVALID|IMAGE_BUILD_FAILED",
     "Try `docker pull IMAGE`; check its name and your login; or add the image to the bundle."),
    ("APP_NOT_FOUND_LOCALLY", "The image is not on the machine, although it should be.",
     "FAILED IMAGE_MISSING", "Load or build it, or allow pulling: `--pull missing`."),
    ("APP_COMPUTE_FAILED", "The program could not start, crashed, or ended with a non-zero exit code. Here"
     " the cause distinguishes these cases.",
     "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY|ENTRYPOINT_INVALID|IMAGE_PLATFORM|DISK_PRESSURE|DISK_FULL"
     "|ENGINE_FAILED", "Read the end of its log: `localrun logs ID`."),
    ("POST_COMPUTE_COMPUTED_FILE_NOT_FOUND", "The program did not write `computed.json`.",
     "FAILED COMPUTED_FILE_MISSING", "Write `/iexec_out/computed.json` at the end of the program."),
    ("POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED", "The path in `computed.json` does not exist, is outside"
     " the output folder, or cannot be read. For a bundle: an output is invalid.",
     "FAILED DIGEST_FAILED|OUTPUTS_INVALID",
     "Set `deterministic-output-path` to a file or folder below `/iexec_out`."),
    ("POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME", "A file name in the result has more than 31 characters.",
     "FAILED RESULT_NAME_TOO_LONG", "Use a shorter name."),
    ("POST_COMPUTE_OUT_FOLDER_ZIP_FAILED", "The output folder could not be packed, usually because of a full"
     " disk.", "FAILED DISK_FULL|RESULT_NOT_PACKED",
     "Free disk space; check for files without read permission."),
    ("POST_COMPUTE_SEND_COMPUTED_FILE_FAILED", "`computed.json` could not be sent. On iExec this is also the"
     " cause of a missing file, except in an enclave.", "FAILED COMPUTED_FILE_MISSING",
     "Write `/iexec_out/computed.json` at the end of the program."),
    ("DETERMINISM_HASH_NOT_FOUND", "There is no result digest to compare. On iExec a failed program often"
     " shows only this cause.", "FAILED COMPUTED_FILE_MISSING|DIGEST_FAILED|EXIT_NONZERO",
     "First check the exit code and the log: `localrun logs ID`."),
    ("RESULT_LINK_MISSING", "The worker uploaded a result without its location. The closest case here: the"
     " outputs could not be written to the task's folder.", "FAILED RESULT_NOT_PACKED|DISK_FULL",
     "Check the task's folder: `localrun status ID`."),
    ("TASK_DESCRIPTION_INVALID", "The description of the task is inconsistent.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID", "Fix the problems that `localrun validate BUNDLE` lists."),
    ("DATASET_FILE_DOWNLOAD_FAILED", "The dataset could not be downloaded. Here inputs are local files.",
     "FAILED INPUTS_INVALID", "Check the path of the file."),
    ("DATASET_FILE_BAD_CHECKSUM", "The checksum of the dataset does not match.",
     "FAILED DATASET_CHECKSUM", "Check it with `sha256sum FILE`, and download the dataset again."),
    ("INPUT_FILES_DOWNLOAD_FAILED", "An input file could not be downloaded. Here: an input is missing or"
     " invalid.", "FAILED INPUTS_INVALID|DEPENDENCY_FAILED", "Check the path of each file."),
))
_CHAIN = make_terms(_SYSTEM, _KIND, (
    ("REVEAL_TIMEOUT", "The worker did not reveal its result in time after the consensus."),
    ("CHAIN_UNREACHABLE", "The worker could not read the task from the blockchain. The closest case here: the"
     " container engine does not respond.", "FAILED ENGINE_UNREACHABLE"),
    ("STAKE_TOO_LOW", "The worker's deposit is too small for this task. The closest case here: the machine"
     " has too few resources for the task.",
     "FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE"),
    ("OUT_OF_GAS", "The worker's wallet cannot pay for its transactions."),
    ("CHAIN_RECEIPT_NOT_VALID", "The blockchain rejected the worker's transaction."),
    ("CONSENSUS_BLOCK_MISSING", "The worker was asked to reveal its result without the consensus block."),
    ("BLOCK_NOT_REACHED", "The worker has not seen the consensus block yet."),
    ("CANNOT_REVEAL", "The result cannot be revealed now: a deadline, state or digest is wrong."),
), only=Availability.CHAIN, why=_LEDGER, remedy=_CHAIN_REMEDY)
_LATER = make_terms(_SYSTEM, _KIND, (
    ("APP_COMPUTE_TIMEOUT", "The program exceeded the time limit of its category and was stopped.",
     "FAILED TIMEOUT", "Raise `--timeout`; the end of the log shows how far the program got."),
    ("CONSENSUS_REACHED", "Other workers reached a consensus before this worker finished.", "KILLED",
     "No action needed."),
    ("ABORTED_BY_WORKER", "The worker aborted the task.", "KILLED, FAILED RUNNER_TERMINATED",
     "Run it again."),
    ("UNKNOWN", "The cause is not known.", "FAILED INTERNAL|RUNNER_TERMINATED|ENGINE_LOST",
     "Check `localrun status ID`, and report it if it is a bug."),
)) + make_terms(_SYSTEM, _KIND, (
    ("TASK_DESCRIPTION_NOT_FOUND", "The worker did not find the task description on the blockchain.",
     "FAILED BUNDLE_INVALID"),
    ("TRUST_NOT_1", "Combined contribution and finalization needs a task that trusts a single worker."),
    ("TASK_ALREADY_CONTRIBUTED", "Another worker's digest was already recorded."),
), only=Availability.CHAIN, why=_LEDGER, remedy=_CHAIN_REMEDY)
# fmt: on

TERMS = (*_COMMON, *_CHAIN, *_LATER)
