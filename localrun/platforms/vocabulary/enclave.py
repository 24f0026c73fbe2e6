"""The failure causes of iExec that concern enclaves (TEE): sessions, pre-compute and post-compute."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, Term, make_terms

_SYSTEM, _KIND = "iexec", "failure cause"
_SESSION = (
    "A secret management service (SMS) gives secrets to an attested enclave; here there is no such service."
)
_HELPERS = (
    "With an enclave, iExec's pre-compute decrypts the inputs, and its post-compute encrypts, signs and"
    " uploads the result; here inputs and outputs are plain files."
)
_HARDWARE = "It needs a CPU with enclave support; localrun runs ordinary containers."
_REMEDY = "It cannot happen here; run the program as a task without an enclave."
_S, _PRE, _POST = "TEE_SESSION_GENERATION_", "PRE_COMPUTE_", "POST_COMPUTE_"
_NOT_AUTHORIZED = _S + "EXECUTION_NOT_AUTHORIZED_"
_SIGNATURE = _S + "POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_"
_LATER_SIGNATURE = _S + "GET_SIGNATURE_TOKENS_FAILED_EMPTY_"


def _missing(names: str, where: str) -> tuple[tuple[str, str], ...]:
    """Return rows for missing variables of a pre- or post-compute container, from `CAUSE=VARIABLE`."""
    pairs = (name.split("=") for name in names.split())
    return tuple((cause, f"{variable} is not set in the {where} container.") for cause, variable in pairs)


def _terms(table: tuple[tuple[str, ...], ...], why: str) -> tuple[Term, ...]:
    return make_terms(_SYSTEM, _KIND, table, only=Availability.ENCLAVE, why=why, remedy=_REMEDY)


# fmt: off
_PREPARATION = _terms((
    ("TEE_NOT_SUPPORTED", "The worker cannot run tasks in an enclave. It would apply to every such task"
     " in localrun."),
    ("TEE_PREPARATION_FAILED", "The worker could not set up the environment of an enclave."),
), _HARDWARE)
_SESSIONS = _terms((
    ("UNKNOWN_SMS", "The service that holds the secrets of this task is unknown."),
    ("GET_TEE_SERVICES_CONFIGURATION_FAILED", "The service did not return the settings of the enclave."),
    (_S + "INVALID_AUTHORIZATION", "The service rejected the identity of the worker."),
    (_NOT_AUTHORIZED + "EMPTY_PARAMS_UNAUTHORIZED", "The worker did not send an authorization."),
    (_NOT_AUTHORIZED + "NO_MATCH_ONCHAIN_TYPE", "On the blockchain, this task is not for an enclave."),
    (_NOT_AUTHORIZED + "GET_CHAIN_TASK_FAILED", "The service could not read the task from the blockchain."),
    (_NOT_AUTHORIZED + "TASK_NOT_ACTIVE", "On the blockchain, the task does not accept results now."),
    (_NOT_AUTHORIZED + "GET_CHAIN_DEAL_FAILED", "The service could not read the deal from the blockchain."),
    (_NOT_AUTHORIZED + "INVALID_SIGNATURE", "The authorization is not signed by the workerpool's owner."),
    (_S + "PRE_COMPUTE_GET_DATASET_SECRET_FAILED", "The service does not have the key of the dataset."),
    (_S + "APP_COMPUTE_NO_ENCLAVE_CONFIG", "The app was registered without enclave settings."),
    (_S + "APP_COMPUTE_INVALID_ENCLAVE_CONFIG", "The app was registered with a wrong entrypoint,"
     " heap size or fingerprint."),
    (_S + "POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY", "The result must be encrypted,"
     " but the service does not have the beneficiary's key."),
    (_S + "POST_COMPUTE_GET_STORAGE_TOKENS_FAILED", "The service does not have the token for the storage"
     " of the result."),
    (f"{_SIGNATURE}WORKER_ADDRESS|{_LATER_SIGNATURE}WORKER_ADDRESS", "The worker's address"
     " is missing, so the result cannot be signed."),
    (f"{_SIGNATURE}PUBLIC_ENCLAVE_CHALLENGE|{_LATER_SIGNATURE}PUBLIC_ENCLAVE_CHALLENGE", "The public key of"
     " the enclave is missing, so the result cannot be signed."),
    (f"{_SIGNATURE}TEE_CHALLENGE|{_LATER_SIGNATURE}TEE_CHALLENGE", "The key pair of this task is missing, so"
     " the result cannot be signed."),
    (f"{_SIGNATURE}TEE_CREDENTIALS|{_LATER_SIGNATURE}TEE_CREDENTIALS", "The private key of the enclave is"
     " missing, so the result cannot be signed."),
    (_S + "SECURE_SESSION_STORAGE_CALL_FAILED", "The session was created, but could not be stored for"
     " the enclave."),
    (_S + "SECURE_SESSION_GENERATION_FAILED", "The session could not be created; the service does not"
     " report why."),
    (f"{_S}SECURE_SESSION_NO_TEE_PROVIDER|{_S}SECURE_SESSION_NO_TEE_FRAMEWORK", "The task does not name its"
     " enclave framework."),
    (_S + "GET_TASK_DESCRIPTION_FAILED", "The service could not read the task description."),
    (_S + "NO_SESSION_REQUEST", "The session request was empty."),
    (_S + "NO_TASK_DESCRIPTION", "The session request had no task description."),
    (_S + "UNKNOWN_ISSUE", "No session was created, for an unknown reason."),
), _SESSION)
_BEFORE = _terms((
    (_PRE + "INVALID_ENCLAVE_CONFIGURATION", "The enclave settings of the app are invalid."),
    (_PRE + "INVALID_ENCLAVE_HEAP_CONFIGURATION", "The app's enclave requests more heap than a worker"
     " allows. The closest case here: the task requests too much memory.", "FAILED MEMORY_UNAVAILABLE"),
    (_PRE + "MISSING_ENCLAVE_CONFIGURATION", "The enclave settings of the app are missing."),
    (_PRE + "IMAGE_MISSING", "The pre-compute image is not on the worker.", "FAILED IMAGE_MISSING"),
    *_missing(
        "PRE_COMPUTE_TASK_ID_MISSING=IEXEC_TASK_ID PRE_COMPUTE_OUTPUT_PATH_MISSING=IEXEC_PRE_COMPUTE_OUT"
        " PRE_COMPUTE_IS_DATASET_REQUIRED_MISSING=IS_DATASET_REQUIRED"
        " PRE_COMPUTE_DATASET_URL_MISSING=IEXEC_DATASET_URL PRE_COMPUTE_DATASET_KEY_MISSING=IEXEC_DATASET_KEY"
        " PRE_COMPUTE_DATASET_CHECKSUM_MISSING=IEXEC_DATASET_CHECKSUM"
        " PRE_COMPUTE_DATASET_FILENAME_MISSING=IEXEC_DATASET_FILENAME"
        " PRE_COMPUTE_INPUT_FILES_NUMBER_MISSING=IEXEC_INPUT_FILES_NUMBER"
        " PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING=IEXEC_INPUT_FILE_URL_n"
        " PRE_COMPUTE_WORKER_ADDRESS_MISSING=SIGN_WORKER_ADDRESS", "pre-compute"),
    (_PRE + "EXIT_REPORTING_FAILED", "Pre-compute failed, and could not report the cause to the worker."),
    (_PRE + "OUTPUT_FOLDER_NOT_FOUND", "The folder for datasets and input files does not exist. Here it is"
     " created with the task."),
    (_PRE + "DATASET_DOWNLOAD_FAILED", "The dataset could not be downloaded in the enclave. Without an"
     " enclave this is DATASET_FILE_DOWNLOAD_FAILED.", "FAILED INPUTS_INVALID"),
    (_PRE + "INVALID_DATASET_CHECKSUM", "The checksum of the dataset does not match. Without an enclave this"
     " is DATASET_FILE_BAD_CHECKSUM.", "FAILED DATASET_CHECKSUM"),
    (_PRE + "DATASET_DECRYPTION_FAILED", "The key cannot decrypt the dataset."),
    (_PRE + "SAVING_PLAIN_DATASET_FAILED", "The decrypted dataset could not be written.", "FAILED DISK_FULL"),
    (_PRE + "INPUT_FILE_DOWNLOAD_FAILED", "An input file could not be downloaded in the enclave. Without an"
     " enclave this is INPUT_FILES_DOWNLOAD_FAILED.", "FAILED INPUTS_INVALID"),
    (_PRE + "TIMEOUT", "Pre-compute took too long.", "FAILED TIMEOUT"),
    (_PRE + "FAILED_UNKNOWN_ISSUE", "Pre-compute failed for an unknown reason.", "FAILED INTERNAL"),
), _HELPERS)
_AFTER = _terms((
    (_POST + "IMAGE_MISSING", "The post-compute image is not on the worker.", "FAILED IMAGE_MISSING"),
    *_missing(
        "POST_COMPUTE_TASK_ID_MISSING=RESULT_TASK_ID"
        " POST_COMPUTE_WORKER_ADDRESS_MISSING=RESULT_SIGN_WORKER_ADDRESS"
        " POST_COMPUTE_TEE_CHALLENGE_PRIVATE_KEY_MISSING=RESULT_SIGN_TEE_CHALLENGE_PRIVATE_KEY"
        " POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING=RESULT_ENCRYPTION_PUBLIC_KEY"
        " POST_COMPUTE_STORAGE_TOKEN_MISSING=RESULT_STORAGE_TOKEN", "post-compute"),
    (_POST + "EXIT_REPORTING_FAILED", "Post-compute failed, and could not report the cause to the worker."),
    (_POST + "ENCRYPTION_FAILED", "The result could not be encrypted."),
    (_POST + "MALFORMED_ENCRYPTION_PUBLIC_KEY", "The encryption key for the result is malformed."),
    (_POST + "RESULT_FILE_NOT_FOUND", "The packed result to upload does not exist.",
     "FAILED OUTPUTS_INVALID"),
    (_POST + "DROPBOX_UPLOAD_FAILED", "The result could not be uploaded to Dropbox."),
    (_POST + "IPFS_UPLOAD_FAILED", "The result could not be uploaded to IPFS."),
    (_POST + "INVALID_TEE_SIGNATURE", "The enclave's signature of the result is invalid."),
    (_POST + "TIMEOUT", "Post-compute took too long.", "FAILED TIMEOUT"),
    (f"{_POST}FAILED_UNKOWN_ISSUE|{_POST}FAILED_UNKNOWN_ISSUE", "Post-compute failed for an unknown"
     " reason; on iExec also if the result is too large to upload.", "FAILED RESULT_TOO_LARGE|INTERNAL"),
    ("ENCLAVE_SIGNATURE_NOT_FOUND", "The result has no enclave signature, so it is not accepted."),
), _HELPERS)
# fmt: on

TERMS = (*_PREPARATION, *_SESSIONS, *_BEFORE, *_AFTER)
