"""The terms of four systems: complete, explained, and translated."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localrun.descriptor.divergences import ROWS
from localrun.errors import Cause
from localrun.platforms.vocabulary import glossary, translate
from localrun.platforms.vocabulary.systems import LOCALRUN, SYSTEMS
from localrun.platforms.vocabulary.term import Term, make_terms, normalize, parse_situations
from localrun.platforms.vocabulary.translation import Translation
from localrun.task.states import StepName, TaskState


def names(text: str) -> list[str]:
    return text.split()


# -- terms that must be known ----------------------------------------------------------------------

IEXEC_TASK = names(
    """
    RECEIVED INITIALIZING INITIALIZED RUNNING CONSENSUS_REACHED AT_LEAST_ONE_REVEALED RESULT_UPLOADING
    RESULT_UPLOADED FINALIZING FINALIZED INITIALIZE_FAILED RUNNING_FAILED CONTRIBUTION_TIMEOUT
    RESULT_UPLOAD_TIMEOUT FINALIZE_FAILED FINAL_DEADLINE_REACHED FAILED COMPLETED
    """
)

IEXEC_REPLICATE = names(
    """
    CREATED STARTING STARTED START_FAILED APP_DOWNLOADING APP_DOWNLOADED APP_DOWNLOAD_FAILED
    DATA_DOWNLOADING DATA_DOWNLOADED DATA_DOWNLOAD_FAILED COMPUTING COMPUTED COMPUTE_FAILED CONTRIBUTING
    CONTRIBUTE_FAILED CONTRIBUTED REVEALING REVEALED REVEAL_FAILED RESULT_UPLOAD_REQUESTED RESULT_UPLOADING
    RESULT_UPLOAD_FAILED RESULT_UPLOADED CONTRIBUTE_AND_FINALIZE_ONGOING CONTRIBUTE_AND_FINALIZE_DONE
    CONTRIBUTE_AND_FINALIZE_FAILED COMPLETING COMPLETED COMPLETE_FAILED FAILED ABORTED RECOVERING
    WORKER_LOST
    """
)

IEXEC_CAUSES = names(
    """
    REVEAL_TIMEOUT CHAIN_UNREACHABLE STAKE_TOO_LOW TASK_NOT_ACTIVE CONTRIBUTION_TIMEOUT
    CONTRIBUTION_ALREADY_SET WORKERPOOL_AUTHORIZATION_NOT_FOUND APP_IMAGE_DOWNLOAD_FAILED
    APP_NOT_FOUND_LOCALLY APP_COMPUTE_FAILED POST_COMPUTE_COMPUTED_FILE_NOT_FOUND
    POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME
    POST_COMPUTE_OUT_FOLDER_ZIP_FAILED POST_COMPUTE_SEND_COMPUTED_FILE_FAILED OUT_OF_GAS
    DETERMINISM_HASH_NOT_FOUND CHAIN_RECEIPT_NOT_VALID CONSENSUS_BLOCK_MISSING BLOCK_NOT_REACHED
    CANNOT_REVEAL RESULT_LINK_MISSING TASK_DESCRIPTION_INVALID DATASET_FILE_DOWNLOAD_FAILED
    DATASET_FILE_BAD_CHECKSUM INPUT_FILES_DOWNLOAD_FAILED TEE_NOT_SUPPORTED UNKNOWN_SMS
    GET_TEE_SERVICES_CONFIGURATION_FAILED TEE_PREPARATION_FAILED
    TEE_SESSION_GENERATION_INVALID_AUTHORIZATION
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_EMPTY_PARAMS_UNAUTHORIZED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_NO_MATCH_ONCHAIN_TYPE
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_GET_CHAIN_TASK_FAILED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_TASK_NOT_ACTIVE
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_GET_CHAIN_DEAL_FAILED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_INVALID_SIGNATURE
    TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED
    TEE_SESSION_GENERATION_APP_COMPUTE_NO_ENCLAVE_CONFIG
    TEE_SESSION_GENERATION_APP_COMPUTE_INVALID_ENCLAVE_CONFIG
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_STORAGE_TOKENS_FAILED
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_WORKER_ADDRESS
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_PUBLIC_ENCLAVE_CHALLENGE
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_TEE_CHALLENGE
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_SIGNATURE_TOKENS_FAILED_EMPTY_TEE_CREDENTIALS
    TEE_SESSION_GENERATION_SECURE_SESSION_STORAGE_CALL_FAILED
    TEE_SESSION_GENERATION_SECURE_SESSION_GENERATION_FAILED
    TEE_SESSION_GENERATION_SECURE_SESSION_NO_TEE_PROVIDER TEE_SESSION_GENERATION_GET_TASK_DESCRIPTION_FAILED
    TEE_SESSION_GENERATION_NO_SESSION_REQUEST TEE_SESSION_GENERATION_NO_TASK_DESCRIPTION
    TEE_SESSION_GENERATION_UNKNOWN_ISSUE PRE_COMPUTE_INVALID_ENCLAVE_CONFIGURATION
    PRE_COMPUTE_INVALID_ENCLAVE_HEAP_CONFIGURATION PRE_COMPUTE_IMAGE_MISSING PRE_COMPUTE_TASK_ID_MISSING
    PRE_COMPUTE_EXIT_REPORTING_FAILED PRE_COMPUTE_OUTPUT_PATH_MISSING
    PRE_COMPUTE_IS_DATASET_REQUIRED_MISSING PRE_COMPUTE_DATASET_URL_MISSING PRE_COMPUTE_DATASET_KEY_MISSING
    PRE_COMPUTE_DATASET_CHECKSUM_MISSING PRE_COMPUTE_DATASET_FILENAME_MISSING
    PRE_COMPUTE_INPUT_FILES_NUMBER_MISSING PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING
    PRE_COMPUTE_OUTPUT_FOLDER_NOT_FOUND PRE_COMPUTE_DATASET_DOWNLOAD_FAILED
    PRE_COMPUTE_INVALID_DATASET_CHECKSUM PRE_COMPUTE_DATASET_DECRYPTION_FAILED
    PRE_COMPUTE_SAVING_PLAIN_DATASET_FAILED PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED PRE_COMPUTE_TIMEOUT
    PRE_COMPUTE_FAILED_UNKNOWN_ISSUE POST_COMPUTE_IMAGE_MISSING POST_COMPUTE_TASK_ID_MISSING
    POST_COMPUTE_EXIT_REPORTING_FAILED POST_COMPUTE_WORKER_ADDRESS_MISSING
    POST_COMPUTE_TEE_CHALLENGE_PRIVATE_KEY_MISSING POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING
    POST_COMPUTE_STORAGE_TOKEN_MISSING POST_COMPUTE_ENCRYPTION_FAILED POST_COMPUTE_RESULT_FILE_NOT_FOUND
    POST_COMPUTE_DROPBOX_UPLOAD_FAILED POST_COMPUTE_IPFS_UPLOAD_FAILED POST_COMPUTE_INVALID_TEE_SIGNATURE
    POST_COMPUTE_TIMEOUT POST_COMPUTE_FAILED_UNKOWN_ISSUE ENCLAVE_SIGNATURE_NOT_FOUND
    """
)

IEXEC_LATER = names(
    """
    APP_COMPUTE_TIMEOUT CONSENSUS_REACHED ABORTED_BY_WORKER UNKNOWN TASK_DESCRIPTION_NOT_FOUND TRUST_NOT_1
    TASK_ALREADY_CONTRIBUTED POST_COMPUTE_MALFORMED_ENCRYPTION_PUBLIC_KEY
    PRE_COMPUTE_MISSING_ENCLAVE_CONFIGURATION PRE_COMPUTE_WORKER_ADDRESS_MISSING
    POST_COMPUTE_FAILED_UNKNOWN_ISSUE TEE_SESSION_GENERATION_SECURE_SESSION_NO_TEE_FRAMEWORK
    """
)

ON_CHAIN = names("UNSET ACTIVE REVEALING COMPLETED FAILED TIMEOUT")

INDUCTIVA = {
    "Waiting for Input": "pending-input",
    "In Queue": "submitted",
    "Preparing to Compute": "started",
    "In Progress": "computation-started",
    "Pending Kill": "pending-kill",
    "Killed": "killed",
    "Machine Terminated in Queue": "zombie",
    "Spot Reclaimed": "spot-instance-preempted",
    "Failed": "failed",
    "Finalizing": "computation-ended",
    "Task Runner Terminated": "executer-terminated",
    "Machine Terminated by User": "executer-terminated-by-user",
    "Machine Time Limit Reached": "executer-terminated-ttl-exceeded",
    "Runtime Error": "executer-failed",
    "Task Timed Out": "ttl-exceeded",
    "Success": "success",
    "Credits Exhausted": "executer-terminated-credits-exhausted",
}

APP_ENGINE_STATES = names("CREATED PROVISIONED QUEUING QUEUED PENDING RUNNING FINISHED FAILED")

# the topics of App Engine's help page, and the terms in its listings
APP_ENGINE = (
    *("permissions", "inputs-sending", "task", "outputs-sending"),
    *("Pending", "Running", "Succeeded", "Failed", "Completed", "Terminated"),
    *("Scheduled", "FailedScheduling", "Pulled", "Created", "Started"),
    *("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"),
    *("provisioning issues", "scheduling issues", "app issues", "stuck in queuing", "queuing"),
    *("insufficient resources", "disk pressure", "node.kubernetes.io/disk-pressure", "untolerated taint"),
    *("Failed to read file", "ephemeral storage", "evicted", "no extension", "OOMKilled"),
    *("cluster mode", "local mode", "QoS Class", "Guaranteed", "Restart Count", "Tolerations"),
    *("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable", "preemption"),
    *("Exit Code 137", "143", "SIGSEGV", "exec format error"),
)
# lines of the help page -> the terms that explain them
APP_ENGINE_LINES = {
    "My task is stuck in `Queuing` state?": ["Stuck in Queuing"],
    "In the app-engine logs, I see `Failed to read file` what does it mean?": ["Failed to read file"],
    "the task crashed after consuming all available ephemeral storage": ["Ephemeral storage"],
    "task failed to be scheduled, either due to Insufficient resources or Disk pressure": [
        "Insufficient resources",
        "Disk pressure",
    ],
    "  Warning  FailedScheduling  48s  default-scheduler  0/1 nodes are available: 1 node(s) had untolerated"
    " taint {node.kubernetes.io/disk-pressure: }. preemption: 0/1 nodes are available: 1 Preemption is not"
    " helpful for scheduling.": ["FailedScheduling", "nodes are available", "Disk pressure", "Preemption"],
    "  Warning  FailedScheduling  1s  default-scheduler  0/1 nodes are available: 1 Insufficient memory.": [
        "FailedScheduling",
        "nodes are available",
        "Insufficient resources",
    ],
    "      Reason:       Completed": ["Completed"],
    "      Reason:       OOMKilled": ["OOMKilled"],
    "    State:          Terminated": ["Terminated"],
    "  PodReadyToStartContainers   False ": ["PodReadyToStartContainers"],
    "  Normal  Scheduled  2m47s  default-scheduler  Successfully assigned app-engine-tasks/x to d4": [
        "Scheduled"
    ],
    "identity-113539bf   0/2     Completed   0          26m": ["Completed"],
}
APP_ENGINE_CODES = names(
    """
    APPE-appstore-download-failure APPE-internal-batch-request-error
    APPE-internal-bundle-image-validation-error APPE-internal-bundle-io-schema-validation-error
    APPE-internal-bundle-schema-validation-error APPE-internal-bundle-validation-error
    APPE-internal-descriptor-extraction-error APPE-internal-extra-output-files
    APPE-internal-image-extraction-error APPE-internal-image-validation-error
    APPE-internal-invalid-dimensions APPE-internal-invalid-indexes APPE-internal-is-blank
    APPE-internal-is-directory APPE-internal-logo-not-found APPE-internal-missing-metadata
    APPE-internal-missing-output-files APPE-internal-not-matching APPE-internal-not-multipart
    APPE-internal-parameter-not-found APPE-internal-request-validation-error
    APPE-internal-run-not-found-error APPE-internal-server-error APPE-internal-task-exists
    APPE-internal-task-not-found APPE-internal-task-run-missing-outputs
    APPE-internal-task-run-provisions-not-found APPE-internal-task-run-state-error
    APPE-internal-task-run-unknown-output APPE-internal-task_run-invalid-output-archive
    APPE-internal-unknown APPE-registry-push-failed APPE-scheduler-unauthenticated-output-provisioning
    APPE-storage-reading-file-error APPE-storage-storing-input-failed
    """
)

TASK_SYSTEM = names("received processing completed error cancelled")
TASK_SYSTEM_GUIDE = (
    *("task_created", "task_requested", "task_completed", "task_error", "operational", "alive", "success"),
    *("422 Unprocessable Entity", "500 Internal Server Error", "404", "ImportError", "Server won't start"),
    *("task not found in list", "logging not working", "memory issues with large task lists"),
    *("task system not responding",),
)


def kinds(system: str, word: str) -> set[str]:
    return {found.kind for found in glossary.look_up(word) if found.system == system}


def test_the_lists_are_as_long_as_those_they_were_written_from() -> None:
    assert [len(IEXEC_TASK), len(IEXEC_REPLICATE), len(IEXEC_CAUSES)] == [17 + 1, 33, 89]
    assert len(set(IEXEC_CAUSES)) == 89
    assert (len(INDUCTIVA), len(APP_ENGINE_STATES), len(TASK_SYSTEM)) == (17, 8, 5)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("failure cause", IEXEC_CAUSES + IEXEC_LATER),
        ("task status", [*IEXEC_TASK, "REOPENING", "REOPENED", "REOPEN_FAILED"]),
        ("replicate status", IEXEC_REPLICATE),
        ("on-chain status", ON_CHAIN),
    ],
)
def test_every_cause_and_status_of_iexec_is_known(kind: str, words: list[str]) -> None:
    assert [word for word in words if kind not in kinds("iexec", word)] == []


def test_every_status_of_inductiva_is_known_by_its_title_and_by_its_code() -> None:
    for title, code in INDUCTIVA.items():
        (word,) = (found for found in glossary.look_up(title) if found.system == "inductiva")
        assert (word.name, word.aliases) == (title, (code,))
        assert word in glossary.look_up(code)


def test_every_situation_and_code_of_app_engine_is_known() -> None:
    assert [word for word in (*APP_ENGINE, *APP_ENGINE_CODES) if not kinds("app-engine", word)] == []


@pytest.mark.parametrize(("line", "words"), APP_ENGINE_LINES.items())
def test_a_line_of_app_engines_help_page_is_answered_as_it_stands_there(line: str, words: list[str]) -> None:
    found = [word.name for word in glossary.find_terms(line) if word.system == "app-engine"]
    assert [word for word in words if word not in found] == [], found


def test_a_line_of_common_words_mentions_nothing() -> None:
    for line in ("the task failed", "error in line 3", "it is running now", "success", "", "  ", "x y"):
        assert glossary.find_terms(line) == ()


def test_each_meaning_that_is_mentioned_is_told_once_in_the_order_of_the_line() -> None:
    line = "OOMKilled after disk pressure and DISK_PRESSURE, then Stuck in Queuing"
    found = [(word.system, word.name) for word in glossary.find_terms(line)]
    assert found == [
        ("app-engine", "OOMKilled"),
        ("localrun", "DISK_PRESSURE"),
        ("app-engine", "Disk pressure"),
        ("app-engine", "Stuck in Queuing"),
    ]


def test_every_state_of_app_engine_is_known() -> None:
    assert [word for word in APP_ENGINE_STATES if "run state" not in kinds("app-engine", word)] == []


def test_every_code_that_validate_answers_with_is_known() -> None:
    answers = {row.code for row in ROWS if row.code.startswith("APPE-")}
    assert answers
    assert {answer for answer in answers if not kinds("app-engine", answer)} == set()


def test_every_status_of_the_task_system_is_known() -> None:
    assert [word for word in TASK_SYSTEM if "status" not in kinds("task-system", word)] == []


def test_every_trouble_of_the_task_systems_guide_is_known() -> None:
    assert [word for word in TASK_SYSTEM_GUIDE if not kinds("task-system", word)] == []


def test_every_state_step_and_cause_is_known() -> None:
    assert [word for word in (*TaskState, *StepName, *Cause) if not kinds(LOCALRUN, str(word))] == []


# -- explanations ----------------------------------------------------------------------------------


def test_a_word_says_what_it_means_and_what_to_do() -> None:
    for word in glossary.terms():
        for sentence in (word.meaning, word.remedy):
            assert sentence.endswith((".", ":")), word
            assert sentence.startswith(("`", "localrun ")) or sentence[0].isupper(), word
            assert "  " not in sentence, word
        assert len(word.meaning.split()) >= 3, word


def test_a_word_has_a_local_equivalent_or_a_reason_why_there_is_none() -> None:
    for word in glossary.terms():
        assert word.situations or word.analogue or word.availability, word
        assert bool(word.availability) == bool(word.why), word
        assert not (word.situations and word.analogue), word


def test_the_local_equivalent_of_a_word_can_be() -> None:
    for word, here in [(one, here) for one in glossary.terms() for here in one.situations]:
        if here.cause is not None and here.state.is_final:
            expected = TaskState.KILLED if here.cause is Cause.KILLED else TaskState.FAILED
            assert here.state is expected, word
        assert here.state is not TaskState.FINISHED or here.cause is None, word


def test_no_word_stands_twice_in_a_table() -> None:
    spellings = Counter(
        (word.system, word.kind, one)
        for word in glossary.terms()
        for one in set(map(normalize, word.spellings))
    )
    assert [found for found, count in spellings.items() if count > 1] == []


def test_only_the_words_of_one_system_can_be_had() -> None:
    assert {word.system for word in glossary.terms("iexec")} == {"iexec"}
    assert {word.system for word in glossary.terms()} == {LOCALRUN, *SYSTEMS}


# -- translation ----------------------------------------------------------------------------------

# the steps that a task may be in, by its state
STEPS: dict[TaskState, tuple[StepName | None, ...]] = {
    TaskState.PENDING: (None, StepName.PERMISSIONS, StepName.TASK),
    TaskState.RUNNING: (StepName.TASK, StepName.OUTPUTS),
    TaskState.FINISHED: (None, StepName.OUTPUTS),
    TaskState.FAILED: (None, *StepName),
    TaskState.KILLED: (None, *StepName),
}
KIND_OF_STATUS = {
    "app-engine": {"run state"},
    "inductiva": {"status"},
    "iexec": {"task status"},
    "task-system": {"status"},
}
KINDS_OF_CAUSE = {
    "app-engine": {"error code", "container reason", "event", "pod status"},
    "iexec": {"failure cause"},
}


def causes_of(state: TaskState) -> tuple[Cause | None, ...]:
    if state is TaskState.FAILED:
        return tuple(cause for cause in Cause if cause is not Cause.KILLED)
    if state is TaskState.KILLED:
        return (Cause.KILLED,)
    return (None,) if state is TaskState.FINISHED else (None, Cause.KILLED)


def possible() -> Iterator[tuple[TaskState, StepName | None, Cause | None]]:
    for state in TaskState:
        yield from product((state,), STEPS.get(state, (None,)), causes_of(state))


@cache
def entries(system: str, word: str, kinds: frozenset[str]) -> list[Term]:
    """Return the table entries of a term; there must be at least one."""
    found = [one for one in glossary.look_up(word) if one.system == system and one.kind in kinds]
    assert found, f"{system} has no word {word}"
    return found


def said(saying: Translation) -> Iterator[Term]:
    """Yield the table entries of all terms in a translation."""
    status = KIND_OF_STATUS[saying.system]
    wanted = (
        (saying.status, status),
        (saying.code, status),
        (saying.reason, status),
        (saying.replica, {"replicate status"}),
        (saying.cause, KINDS_OF_CAUSE.get(saying.system, set())),
    )
    for word, allowed in wanted:
        if word:
            yield from entries(saying.system, word, frozenset(allowed))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_state_step_and_cause_is_said_in_known_words(system: str) -> None:
    for state, step, cause in product(TaskState, (None, *StepName), (None, *Cause)):
        saying = translate(state, step, cause, system)
        assert saying.status
        assert list(said(saying))


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_said_of_a_task_means_what_the_task_is_in(system: str) -> None:
    wrong = [
        f"{state} {step} {cause} is not what {word.name} ({word.kind}) means"
        for state, step, cause in possible()
        for word in said(translate(state, step, cause, system))
        if not any(here.covers(state, step, cause) for here in word.situations)
    ]
    assert wrong == []


def test_the_causes_that_a_system_has_no_word_for_are_these() -> None:
    def unsaid(system: str) -> set[Cause]:
        ends = {Cause.KILLED: TaskState.KILLED}
        return {
            cause
            for cause in Cause
            if not translate(ends.get(cause, TaskState.FAILED), StepName.TASK, cause, system).cause
        }

    resources = {
        Cause.CPU_UNAVAILABLE,
        Cause.MEMORY_UNAVAILABLE,
        Cause.GPU_UNAVAILABLE,
        Cause.DISK_UNAVAILABLE,
    }
    assert unsaid("iexec") == resources | {Cause.ENGINE_UNREACHABLE}  # it has no limits and no engine
    assert unsaid("app-engine") == {
        Cause.IMAGE_BUILD_FAILED,  # it builds nothing
        Cause.DEPENDENCY_FAILED,  # its tasks do not wait for each other
        *(Cause.DATASET_CHECKSUM, Cause.RESULT_NAME_TOO_LONG, Cause.RESULT_NOT_PACKED),  # only of iExec
        *(Cause.COMPUTED_FILE_MISSING, Cause.DIGEST_FAILED, Cause.RESULT_TOO_LARGE),
        Cause.NO_CONSENSUS,  # it runs each task once
        *(Cause.TIMEOUT, Cause.KILLED),  # it has no time limits and no cancellation
        Cause.ENGINE_UNREACHABLE,
    }
    assert unsaid("inductiva") == unsaid("task-system") == set(Cause)  # they have statuses only


@pytest.mark.parametrize(
    ("state", "step", "cause", "words"),
    [
        ("RUNNING", "task", None, "RUNNING In_Progress RUNNING processing"),
        ("RUNNING", "outputs", None, "RUNNING Finalizing RESULT_UPLOADING processing"),
        ("RUNNING", "task", "KILLED", "RUNNING Pending_Kill RUNNING processing"),
        ("QUEUING", None, None, "QUEUING In_Queue INITIALIZED received"),
        ("FINISHED", "outputs", None, "FINISHED Success COMPLETED completed"),
        ("FAILED", "task", "TIMEOUT", "FAILED Task_Timed_Out FAILED error"),
        ("FAILED", "task", "EXIT_NONZERO", "FAILED Failed FAILED error"),
        ("FAILED", "task", "DISK_FULL", "FAILED Runtime_Error FAILED error"),
        ("FAILED", "task", "RUNNER_TERMINATED", "FAILED Task_Runner_Terminated FAILED error"),
        ("FAILED", None, "RUNNER_TERMINATED", "FAILED Machine_Terminated_in_Queue FAILED error"),
        ("KILLED", "task", "KILLED", "FAILED Killed FAILED cancelled"),
    ],
)
def test_a_task_in_four_ways(state: str, step: str | None, cause: str | None, words: str) -> None:
    where = (TaskState(state), StepName(step) if step else None, Cause[cause] if cause else None)
    found = [translate(*where, system).status for system in SYSTEMS]
    assert found == [word.replace("_", " ") if word[1].islower() else word for word in words.split()]


def test_iexec_says_why_a_replicate_failed() -> None:
    def ending(step: StepName, cause: Cause) -> tuple[str, str, str]:
        saying = translate(TaskState.FAILED, step, cause, "iexec")
        return saying.reason, saying.replica, saying.cause

    assert ending(StepName.TASK, Cause.OUT_OF_MEMORY) == (
        "RUNNING_FAILED",
        "COMPUTE_FAILED",
        "APP_COMPUTE_FAILED",
    )
    assert ending(StepName.TASK, Cause.DISK_FULL)[2] == "APP_COMPUTE_FAILED"
    assert ending(StepName.OUTPUTS, Cause.DISK_FULL)[2] == "POST_COMPUTE_OUT_FOLDER_ZIP_FAILED"


def test_a_system_that_is_not_known_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown system 'slurm'; expected one of: app-engine, inductiva, iexec, task-system"
    ):
        translate(TaskState.RUNNING, None, None, "slurm")


# -- look_up ---------------------------------------------------------------------------------------


@given(
    word=st.sampled_from(glossary.terms()),
    upper=st.booleans(),
    between=st.sampled_from(["", " ", "-", "_", " - "]),
)
def test_case_and_what_separates_the_parts_do_not_matter(word: Term, upper: bool, between: str) -> None:
    parts = word.name.replace("-", " ").replace("_", " ").split()
    written = between.join(part.upper() if upper else part.lower() for part in parts)
    assert word in glossary.look_up(f" {written} ")


def test_a_word_of_several_systems_has_all_its_meanings() -> None:
    found = {(word.system, word.kind) for word in glossary.look_up("failed")}
    assert {system for system, _ in found} == {LOCALRUN, "app-engine", "inductiva", "iexec"}
    assert {kind for system, kind in found if system == "iexec"} == {
        "task status",
        "replicate status",
        "on-chain status",
    }


@pytest.mark.parametrize("text", ["", "-", "nonsense", "x" * 100_000])
def test_what_is_no_word_has_no_meaning(text: str) -> None:
    assert glossary.look_up(text) == ()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("OUT_OF_MEMROY", "OUT_OF_MEMORY"),
        ("oom killd", "OOMKilled"),
        ("in pogress", "In Progress"),
        ("app compute faild", "APP_COMPUTE_FAILED"),
        ("executor-failed", "executer-failed"),
    ],
)
def test_a_misspelt_word_is_guessed(text: str, word: str) -> None:
    assert glossary.closest_term(text) == word


@pytest.mark.parametrize("word", [word for word in IEXEC_CAUSES if len(word) > 64])
def test_the_longest_words_are_guessed_too(word: str) -> None:
    assert glossary.closest_term(word.replace("FAILED", "FALED").replace("AUTHORIZED", "AUTORIZED")) == word


def test_what_is_like_no_word_is_not_guessed() -> None:
    assert glossary.closest_term("zzzzqqqq") is None


# -- the tables themselves -------------------------------------------------------------------------


def test_a_cell_may_name_several_situations() -> None:
    found = list(map(str, parse_situations("RUNNING task, FAILED TIMEOUT|SIGNAL, QUEUED|PENDING KILLED")))
    assert found == [
        "RUNNING in the step task",
        *("FAILED, cause TIMEOUT", "FAILED, cause SIGNAL"),
        *("QUEUED, cause KILLED", "PENDING, cause KILLED"),
    ]


@pytest.mark.parametrize("text", ["BROKEN", "FAILED NO_SUCH", "RUNNING nowhere"])
def test_a_cell_that_names_what_does_not_exist_is_a_mistake(text: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        list(parse_situations(text))


def test_a_row_takes_what_it_leaves_out_from_its_table() -> None:
    own, common = make_terms(
        "s", "k", [("A|a", "What it is.", "QUEUED", "Wait."), ("B", "Another.", "=a text")], remedy="Go."
    )
    assert (own.name, own.aliases, own.remedy, own.analogue) == ("A", ("a",), "Wait.", "")
    assert (common.situations, common.remedy, common.analogue) == ((), "Go.", "a text")


def test_other_commands_do_not_read_the_tables() -> None:
    script = "import sys, localrun.cli.run; print([m for m in sys.modules if 'vocabulary.' in m])"
    listing = "import sys, localrun.cli.list_; print([m for m in sys.modules if 'vocabulary.' in m])"
    found = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        for code in (script, listing)
    ]
    assert found == ["[]", "['localrun.platforms.vocabulary.systems']"]


# -- docs page -------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "words.md"


def table(title: str) -> dict[str, list[str]]:
    """Return a table of the page by its first column."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return {name: cells for name, *cells in found[1:]}


def test_the_page_has_the_words_of_every_state() -> None:
    found = table("States")
    assert {name.split(",")[0] for name in found} == set(TaskState)
    for name, cells in found.items():
        state, _, step = name.partition(", step ")
        where = (TaskState(state), StepName(step) if step else None, None)
        app_engine, inductiva, iexec, task_system = (translate(*where, system) for system in SYSTEMS)
        words = [inductiva.status, iexec.status, iexec.replica]
        if state == "FAILED":
            words = ["see its cause", iexec.status, "see its cause"]
        assert cells == [app_engine.status, *words, task_system.status]


def test_the_page_has_the_words_of_every_cause() -> None:
    found = table("Causes")
    assert list(found) == list(map(str, Cause))
    for cause in Cause:
        end = TaskState.KILLED if cause is Cause.KILLED else TaskState.FAILED
        app_engine, inductiva, iexec, _ = (translate(end, StepName.TASK, cause, system) for system in SYSTEMS)
        words = [app_engine.cause, inductiva.status, iexec.reason, iexec.replica, iexec.cause]
        assert found[str(cause)] == [word or "-" for word in words]
