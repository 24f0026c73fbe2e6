"""The failure causes of iExec that need an enclave (TEE): sessions, and the steps before and after."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, Term, make_terms

_SYSTEM, _KIND = "iexec", "failure cause"
_SESSION = (
    "A service (SMS) hands secrets to an enclave once it has proved what runs in it; on your own machine"
    " there is nothing to prove, and no such service."
)
_HELPERS = (
    "In an enclave a program of iExec's own fetches and decrypts the inputs first, and encrypts, signs and"
    " uploads the result last; here inputs and outputs are plain files."
)
_HARDWARE = "It needs a processor with enclaves, set up for them; localrun runs plain containers."
_REMEDY = "It cannot happen here. To try the program itself, run it as a task without an enclave."
_S, _PRE, _POST = "TEE_SESSION_GENERATION_", "PRE_COMPUTE_", "POST_COMPUTE_"
_NOT_AUTHORIZED = _S + "EXECUTION_NOT_AUTHORIZED_"
_SIGNATURE = _S + "POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_"
_LATER_SIGNATURE = _S + "GET_SIGNATURE_TOKENS_FAILED_EMPTY_"


def _missing(names: str, where: str) -> tuple[tuple[str, str], ...]:
    """Rows for variables that a helper's container should have: `CAUSE=VARIABLE`."""
    pairs = (name.split("=") for name in names.split())
    return tuple((cause, f"The {where} container was not given {variable}.") for cause, variable in pairs)


def _words(table: tuple[tuple[str, ...], ...], why: str) -> tuple[Term, ...]:
    return make_terms(_SYSTEM, _KIND, table, only=Availability.ENCLAVE, why=why, remedy=_REMEDY)


# fmt: off
_PREPARATION = _words((
    ("TEE_NOT_SUPPORTED", "The worker cannot run tasks in an enclave. It is what localrun would have to"
     " answer to every such task."),
    ("TEE_PREPARATION_FAILED", "The worker could not make ready what an enclave needs."),
), _HARDWARE)
_SESSIONS = _words((
    ("UNKNOWN_SMS", "Nobody knows which service keeps the secrets of this task."),
    ("GET_TEE_SERVICES_CONFIGURATION_FAILED", "The service did not say how the enclave is to be set up."),
    (_S + "INVALID_AUTHORIZATION", "The service does not believe that the worker is who it says."),
    (_NOT_AUTHORIZED + "EMPTY_PARAMS_UNAUTHORIZED", "The worker did not send what is needed to be let in."),
    (_NOT_AUTHORIZED + "NO_MATCH_ONCHAIN_TYPE", "By the chain, this is no task for an enclave."),
    (_NOT_AUTHORIZED + "GET_CHAIN_TASK_FAILED", "The service could not read the task from the chain."),
    (_NOT_AUTHORIZED + "TASK_NOT_ACTIVE", "By the chain, the task takes no results now."),
    (_NOT_AUTHORIZED + "GET_CHAIN_DEAL_FAILED", "The service could not read the deal from the chain."),
    (_NOT_AUTHORIZED + "INVALID_SIGNATURE", "It is not the workerpool's owner who signed the permission."),
    (_S + "PRE_COMPUTE_GET_DATASET_SECRET_FAILED", "The key of the dataset is not with the service."),
    (_S + "APP_COMPUTE_NO_ENCLAVE_CONFIG", "The app was registered without the settings of its enclave."),
    (_S + "APP_COMPUTE_INVALID_ENCLAVE_CONFIG", "The app's entrypoint, heap size or fingerprint, as"
     " registered, is wrong."),
    (_S + "POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY", "The result is to be encrypted,"
     " and its receiver left no key with the service."),
    (_S + "POST_COMPUTE_GET_STORAGE_TOKENS_FAILED", "The token for the result's storage is not with the"
     " service."),
    (f"{_SIGNATURE}WORKER_ADDRESS|{_LATER_SIGNATURE}WORKER_ADDRESS", "To sign the result,"
     " the worker's address is wanting."),
    (f"{_SIGNATURE}PUBLIC_ENCLAVE_CHALLENGE|{_LATER_SIGNATURE}PUBLIC_ENCLAVE_CHALLENGE", "To sign the result,"
     " the public half of the enclave's key is wanting."),
    (f"{_SIGNATURE}TEE_CHALLENGE|{_LATER_SIGNATURE}TEE_CHALLENGE", "To sign the result, the key pair made for"
     " this task is wanting."),
    (f"{_SIGNATURE}TEE_CREDENTIALS|{_LATER_SIGNATURE}TEE_CREDENTIALS", "To sign the result, the enclave's"
     " private key is wanting."),
    (_S + "SECURE_SESSION_STORAGE_CALL_FAILED", "The session was made and could not be stored for the"
     " enclave."),
    (_S + "SECURE_SESSION_GENERATION_FAILED", "The session could not be made, for a reason that the service"
     " keeps to itself."),
    (f"{_S}SECURE_SESSION_NO_TEE_PROVIDER|{_S}SECURE_SESSION_NO_TEE_FRAMEWORK", "The task does not say which"
     " kind of enclave it is for."),
    (_S + "GET_TASK_DESCRIPTION_FAILED", "The service could not read the task's description from the chain."),
    (_S + "NO_SESSION_REQUEST", "The request for a session had no content."),
    (_S + "NO_TASK_DESCRIPTION", "The request for a session did not describe the task."),
    (_S + "UNKNOWN_ISSUE", "No session came, and no reason with it."),
), _SESSION)
_BEFORE = _words((
    (_PRE + "INVALID_ENCLAVE_CONFIGURATION", "The settings of the app's enclave are wrong."),
    (_PRE + "INVALID_ENCLAVE_HEAP_CONFIGURATION", "The app's enclave wants more heap than a worker may give."
     " What comes nearest: too much memory is asked for.", "FAILED MEMORY_UNAVAILABLE"),
    (_PRE + "MISSING_ENCLAVE_CONFIGURATION", "There are no settings of the app's enclave."),
    (_PRE + "IMAGE_MISSING", "The image of the step before is not on the worker.", "FAILED IMAGE_MISSING"),
    *_missing(
        "PRE_COMPUTE_TASK_ID_MISSING=IEXEC_TASK_ID PRE_COMPUTE_OUTPUT_PATH_MISSING=IEXEC_PRE_COMPUTE_OUT"
        " PRE_COMPUTE_IS_DATASET_REQUIRED_MISSING=IS_DATASET_REQUIRED"
        " PRE_COMPUTE_DATASET_URL_MISSING=IEXEC_DATASET_URL PRE_COMPUTE_DATASET_KEY_MISSING=IEXEC_DATASET_KEY"
        " PRE_COMPUTE_DATASET_CHECKSUM_MISSING=IEXEC_DATASET_CHECKSUM"
        " PRE_COMPUTE_DATASET_FILENAME_MISSING=IEXEC_DATASET_FILENAME"
        " PRE_COMPUTE_INPUT_FILES_NUMBER_MISSING=IEXEC_INPUT_FILES_NUMBER"
        " PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING=IEXEC_INPUT_FILE_URL_n"
        " PRE_COMPUTE_WORKER_ADDRESS_MISSING=SIGN_WORKER_ADDRESS", "pre-compute"),
    (_PRE + "EXIT_REPORTING_FAILED", "The step before failed, and could not tell the worker why."),
    (_PRE + "OUTPUT_FOLDER_NOT_FOUND", "The folder for dataset and input files is not there. Here it is made"
     " with the task."),
    (_PRE + "DATASET_DOWNLOAD_FAILED", "The dataset could not be fetched inside the enclave. Without one this"
     " is DATASET_FILE_DOWNLOAD_FAILED.", "FAILED INPUTS_INVALID"),
    (_PRE + "INVALID_DATASET_CHECKSUM", "The fetched dataset has another digest. Without an enclave this is"
     " DATASET_FILE_BAD_CHECKSUM.", "FAILED DATASET_CHECKSUM"),
    (_PRE + "DATASET_DECRYPTION_FAILED", "The key does not open the dataset."),
    (_PRE + "SAVING_PLAIN_DATASET_FAILED", "The opened dataset could not be written into the enclave.",
     "FAILED DISK_FULL"),
    (_PRE + "INPUT_FILE_DOWNLOAD_FAILED", "An input file could not be fetched inside the enclave. Without one"
     " this is INPUT_FILES_DOWNLOAD_FAILED.", "FAILED INPUTS_INVALID"),
    (_PRE + "TIMEOUT", "The step before took too long.", "FAILED TIMEOUT"),
    (_PRE + "FAILED_UNKNOWN_ISSUE", "The step before failed, and nobody knows why.", "FAILED INTERNAL"),
), _HELPERS)
_AFTER = _words((
    (_POST + "IMAGE_MISSING", "The image of the step after is not on the worker.", "FAILED IMAGE_MISSING"),
    *_missing(
        "POST_COMPUTE_TASK_ID_MISSING=RESULT_TASK_ID"
        " POST_COMPUTE_WORKER_ADDRESS_MISSING=RESULT_SIGN_WORKER_ADDRESS"
        " POST_COMPUTE_TEE_CHALLENGE_PRIVATE_KEY_MISSING=RESULT_SIGN_TEE_CHALLENGE_PRIVATE_KEY"
        " POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING=RESULT_ENCRYPTION_PUBLIC_KEY"
        " POST_COMPUTE_STORAGE_TOKEN_MISSING=RESULT_STORAGE_TOKEN", "post-compute"),
    (_POST + "EXIT_REPORTING_FAILED", "The step after failed, and could not tell the worker why."),
    (_POST + "ENCRYPTION_FAILED", "The result could not be encrypted."),
    (_POST + "MALFORMED_ENCRYPTION_PUBLIC_KEY", "The key to encrypt the result with is no key."),
    (_POST + "RESULT_FILE_NOT_FOUND", "The packed result that was to be uploaded is not there.",
     "FAILED OUTPUTS_INVALID"),
    (_POST + "DROPBOX_UPLOAD_FAILED", "The result could not be uploaded to Dropbox."),
    (_POST + "IPFS_UPLOAD_FAILED", "The result could not be uploaded to IPFS."),
    (_POST + "INVALID_TEE_SIGNATURE", "The enclave's signature of the result does not hold."),
    (_POST + "TIMEOUT", "The step after took too long.", "FAILED TIMEOUT"),
    (f"{_POST}FAILED_UNKOWN_ISSUE|{_POST}FAILED_UNKNOWN_ISSUE", "The step after failed, and nobody knows"
     " why; there also when the result is too large to be uploaded.", "FAILED RESULT_TOO_LARGE|INTERNAL"),
    ("ENCLAVE_SIGNATURE_NOT_FOUND", "The result bears no signature of an enclave, so it is held back."),
), _HELPERS)
# fmt: on

TERMS = (*_PREPARATION, *_SESSIONS, *_BEFORE, *_AFTER)
