"""Translate the state, step and cause of a task to the terms of each system."""

from __future__ import annotations

from dataclasses import dataclass

from localrun.errors import Cause
from localrun.platforms.vocabulary.systems import SYSTEMS
from localrun.platforms.vocabulary.task_system import STATUSES
from localrun.task.states import StepName, TaskState

_S, _C = TaskState, Cause


@dataclass(frozen=True, slots=True)
class Translation:
    """A task in the terms of a system; terms that the system does not have are empty.

    `code` is the status in the system's API. For iExec, `reason` is the status before FAILED in the history
    of a task, and `replica` is the status of the replicate.
    """

    system: str
    status: str
    code: str
    cause: str = ""
    reason: str = ""
    replica: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return a JSON-ready dict without empty values."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name))}


# -- App Engine: the same states, except KILLED -------------------------------------------------------

_APP_ENGINE = {state: str(state) for state in TaskState} | {_S.KILLED: "FAILED"}
_APP_ENGINE_CAUSES: dict[Cause, str] = {
    _C.BUNDLE_INVALID: "APPE-internal-bundle-validation-error",
    _C.DESCRIPTOR_INVALID: "APPE-internal-bundle-schema-validation-error",
    _C.INPUTS_INVALID: "APPE-internal-request-validation-error",
    _C.IMAGE_INVALID: "APPE-internal-bundle-validation-error",
    _C.IMAGE_MISSING: "ImagePullBackOff",
    _C.IMAGE_PULL_FAILED: "ErrImagePull",
    _C.IMAGE_PLATFORM: "StartError",
    _C.ENTRYPOINT_INVALID: "StartError",
    _C.CPU_UNAVAILABLE: "FailedScheduling",
    _C.MEMORY_UNAVAILABLE: "FailedScheduling",
    _C.GPU_UNAVAILABLE: "FailedScheduling",
    _C.DISK_UNAVAILABLE: "FailedScheduling",
    _C.EXIT_NONZERO: "Error",
    _C.SIGNAL: "Error",
    _C.OUT_OF_MEMORY: "OOMKilled",
    _C.OUTPUTS_INVALID: "APPE-internal-batch-request-error",
    _C.DISK_PRESSURE: "Evicted",
    _C.DISK_FULL: "Evicted",
    _C.RUNNER_TERMINATED: "Unknown",
    _C.ENGINE_LOST: "Unknown",
    _C.ENGINE_FAILED: "APPE-internal-server-error",
    _C.INTERNAL: "APPE-internal-server-error",
}

# -- Inductiva: (title, code of the API) --------------------------------------------------------------

_QUEUE, _RUNTIME = ("In Queue", "submitted"), ("Runtime Error", "executer-failed")
_FAILED, _GONE = ("Failed", "failed"), ("Task Runner Terminated", "executer-terminated")
_INDUCTIVA: dict[TaskState, tuple[str, str]] = {
    _S.CREATED: ("Waiting for Input", "pending-input"),
    _S.PROVISIONED: _QUEUE,
    _S.QUEUING: _QUEUE,
    _S.QUEUED: _QUEUE,
    _S.PENDING: ("Preparing to Compute", "started"),
    _S.RUNNING: ("In Progress", "computation-started"),
    _S.FINISHED: ("Success", "success"),
    _S.FAILED: _RUNTIME,
    _S.KILLED: ("Killed", "killed"),
}
_INDUCTIVA_CAUSES: dict[Cause, tuple[str, str]] = {
    _C.EXIT_NONZERO: _FAILED,
    _C.SIGNAL: _FAILED,
    _C.OUT_OF_MEMORY: _FAILED,
    _C.ENTRYPOINT_INVALID: _FAILED,
    _C.OUTPUTS_INVALID: _FAILED,
    _C.RESULT_NAME_TOO_LONG: _FAILED,
    _C.RESULT_NOT_PACKED: _FAILED,
    _C.COMPUTED_FILE_MISSING: _FAILED,
    _C.DIGEST_FAILED: _FAILED,
    _C.RESULT_TOO_LARGE: _FAILED,
    _C.NO_CONSENSUS: _FAILED,
    _C.TIMEOUT: ("Task Timed Out", "ttl-exceeded"),
    _C.RUNNER_TERMINATED: _GONE,
    _C.ENGINE_LOST: _GONE,
}
_FINALIZING, _KILL = ("Finalizing", "computation-ended"), ("Pending Kill", "pending-kill")
_ZOMBIE = ("Machine Terminated in Queue", "zombie")

# -- iExec: (task status, status of the only replicate) -----------------------------------------------

_IEXEC: dict[TaskState, tuple[str, str]] = {
    _S.CREATED: ("RECEIVED", "CREATED"),
    _S.PROVISIONED: ("INITIALIZED", "CREATED"),
    _S.QUEUING: ("INITIALIZED", "STARTING"),
    _S.QUEUED: ("INITIALIZED", "STARTED"),
    _S.PENDING: ("RUNNING", "APP_DOWNLOADING"),
    _S.RUNNING: ("RUNNING", "COMPUTING"),
    _S.FINISHED: ("COMPLETED", "COMPLETED"),
    _S.FAILED: ("FAILED", "FAILED"),
    _S.KILLED: ("FAILED", "ABORTED"),
}
_IEXEC_STEPS: dict[tuple[TaskState, StepName | None], tuple[str, str]] = {
    (_S.PENDING, StepName.PERMISSIONS): ("RUNNING", "DATA_DOWNLOADED"),
    (_S.PENDING, StepName.TASK): ("RUNNING", "COMPUTING"),
    (_S.RUNNING, StepName.OUTPUTS): ("RESULT_UPLOADING", "RESULT_UPLOADING"),
}
_INITIALIZE, _RUN = "INITIALIZE_FAILED", "RUNNING_FAILED"
_REFUSED = (_INITIALIZE, "START_FAILED", "")
_DESCRIPTION = (_INITIALIZE, "START_FAILED", "TASK_DESCRIPTION_INVALID")
_IMAGE = (_RUN, "APP_DOWNLOAD_FAILED", "APP_IMAGE_DOWNLOAD_FAILED")
_COMPUTE = (_RUN, "COMPUTE_FAILED", "APP_COMPUTE_FAILED")
_LOST = (_RUN, "WORKER_LOST", "UNKNOWN")
# cause -> (status before FAILED, replicate status, failure cause)
_IEXEC_CAUSES: dict[Cause, tuple[str, str, str]] = {
    _C.BUNDLE_INVALID: _DESCRIPTION,
    _C.DESCRIPTOR_INVALID: _DESCRIPTION,
    _C.INPUTS_INVALID: (_RUN, "DATA_DOWNLOAD_FAILED", "INPUT_FILES_DOWNLOAD_FAILED"),
    _C.DEPENDENCY_FAILED: (_RUN, "DATA_DOWNLOAD_FAILED", "INPUT_FILES_DOWNLOAD_FAILED"),
    _C.DATASET_CHECKSUM: (_RUN, "DATA_DOWNLOAD_FAILED", "DATASET_FILE_BAD_CHECKSUM"),
    _C.IMAGE_INVALID: _IMAGE,
    _C.IMAGE_MISSING: (_RUN, "COMPUTE_FAILED", "APP_NOT_FOUND_LOCALLY"),
    _C.IMAGE_PULL_FAILED: _IMAGE,
    _C.IMAGE_BUILD_FAILED: _IMAGE,
    _C.IMAGE_PLATFORM: _COMPUTE,
    _C.ENTRYPOINT_INVALID: _COMPUTE,
    _C.CPU_UNAVAILABLE: _REFUSED,
    _C.MEMORY_UNAVAILABLE: _REFUSED,
    _C.GPU_UNAVAILABLE: _REFUSED,
    _C.DISK_UNAVAILABLE: _REFUSED,
    _C.EXIT_NONZERO: _COMPUTE,
    _C.SIGNAL: _COMPUTE,
    _C.OUT_OF_MEMORY: _COMPUTE,
    _C.TIMEOUT: ("CONTRIBUTION_TIMEOUT", "COMPUTE_FAILED", "APP_COMPUTE_TIMEOUT"),
    _C.OUTPUTS_INVALID: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED"),
    _C.RESULT_NAME_TOO_LONG: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME"),
    _C.RESULT_NOT_PACKED: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_OUT_FOLDER_ZIP_FAILED"),
    _C.COMPUTED_FILE_MISSING: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND"),
    _C.DIGEST_FAILED: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED"),
    _C.RESULT_TOO_LARGE: (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_FAILED_UNKOWN_ISSUE"),
    _C.NO_CONSENSUS: ("CONTRIBUTION_TIMEOUT", "FAILED", "CONTRIBUTION_TIMEOUT"),
    _C.DISK_PRESSURE: _COMPUTE,
    _C.DISK_FULL: _COMPUTE,
    _C.KILLED: ("", "ABORTED", "TASK_NOT_ACTIVE"),
    _C.RUNNER_TERMINATED: _LOST,
    _C.ENGINE_UNREACHABLE: _REFUSED,
    _C.ENGINE_LOST: _LOST,
    _C.ENGINE_FAILED: _COMPUTE,
    _C.INTERNAL: (_RUN, "FAILED", "UNKNOWN"),
}
_PACKING = (_RUN, "COMPUTE_FAILED", "POST_COMPUTE_OUT_FOLDER_ZIP_FAILED")


def translate(state: TaskState, step: StepName | None, cause: Cause | None, system: str) -> Translation:
    """Return the terms of `system`, one of `SYSTEMS`, for a task in this state and step, with this cause."""
    if system not in SYSTEMS:
        raise ValueError(f"unknown system {system!r}; expected one of: {', '.join(SYSTEMS)}")
    if system == "app-engine":
        return _app_engine(state, cause)
    if system == "inductiva":
        shown, code = _inductiva(state, step, cause)
        return Translation(system, shown, code)
    if system == "iexec":
        return _iexec(state, step, cause)
    return Translation(system, STATUSES[state], STATUSES[state])


def _app_engine(state: TaskState, cause: Cause | None) -> Translation:
    word = _APP_ENGINE_CAUSES.get(cause, "") if cause is not None and state is _S.FAILED else ""
    return Translation("app-engine", _APP_ENGINE[state], _APP_ENGINE[state], word)


def _inductiva(state: TaskState, step: StepName | None, cause: Cause | None) -> tuple[str, str]:
    if not state.is_final and cause is _C.KILLED:
        return _KILL
    if state is _S.RUNNING and step is StepName.OUTPUTS:
        return _FINALIZING
    if state is not _S.FAILED or cause is None:
        return _INDUCTIVA[state]
    if cause is _C.RUNNER_TERMINATED and step is None:
        return _ZOMBIE
    return _INDUCTIVA_CAUSES.get(cause, _RUNTIME)


def _iexec(state: TaskState, step: StepName | None, cause: Cause | None) -> Translation:
    status, replica = _IEXEC_STEPS.get((state, step), _IEXEC[state])
    if cause is None or not state.is_final or state is _S.FINISHED:
        return Translation("iexec", status, status, replica=replica)
    reason, replica, word = _IEXEC_CAUSES[cause]
    if cause is _C.DISK_FULL and step is StepName.OUTPUTS:
        reason, replica, word = _PACKING
    return Translation("iexec", status, status, word, reason, replica)
