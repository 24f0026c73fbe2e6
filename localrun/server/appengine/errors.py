"""The errors of App Engine's API: their codes, messages and details are part of its contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.exceptions import HTTPException

Details = dict[str, Any]

EMPTY: Details = {"type": "empty"}
SERVER_ERROR = "APPE-internal-server-error"
BUNDLE = "APPE-internal-bundle-validation-error"
SCHEMA = "APPE-internal-bundle-schema-validation-error"
SCHEMA_ITEM = "APPE-internal-bundle-io-schema-validation-error"
EXTRACTION = "APPE-internal-descriptor-extraction-error"
STATE = "APPE-internal-task-run-state-error"
NO_PROVISIONS = "APPE-internal-task-run-provisions-not-found"
VALUE = "APPE-internal-request-validation-error"
BATCH = "APPE-internal-batch-request-error"
PARAMETER = "APPE-internal-parameter-not-found"
FILE = "APPE-storage-reading-file-error"


class AppEngineError(HTTPException):
    """An error response. A 403 is sent without its details."""

    def __init__(self, status: int, code: str, message: str, details: Details | None = None) -> None:
        super().__init__(status, message)
        self.code = code
        self.message = message
        self.details = EMPTY if details is None else details

    @property
    def content(self) -> dict[str, Any]:
        """The body of the response."""
        if self.status_code == 403:
            return {"errorCode": self.code, "message": self.message}
        return error_object(self.code, self.message, self.details)


def error_object(code: str, message: str, details: Details) -> dict[str, Any]:
    """Return an error as it is sent, also as one of a batch."""
    return {"errorCode": code, "message": message, "details": details}


def parameter(name: str) -> Details:
    return {"type": "parameter", "parameterName": name}


def related(name: str, description: str) -> Details:
    return {"type": "related", "parameterName": name, "description": description}


def batch(errors: Iterable[dict[str, Any]]) -> Details:
    return {"type": "batch", "errors": list(errors)}


def server(message: str | None) -> Details:
    return {"type": "server", "exceptionMessage": message}


def task_not_found() -> AppEngineError:
    return AppEngineError(404, "APPE-internal-task-not-found", "Task not found.")


def run_not_found() -> AppEngineError:
    return AppEngineError(404, "APPE-internal-run-not-found-error", "Run not found.")


def parameter_not_found(name: str) -> AppEngineError:
    return AppEngineError(404, PARAMETER, "parameter not found", parameter(name))


def invalid_state() -> AppEngineError:
    return AppEngineError(403, STATE, "run is in invalid state")


def unreadable_provision() -> AppEngineError:
    return AppEngineError(403, STATE, "unable to process json")


def forbidden_state() -> AppEngineError:
    """Return the error for a state that exists and cannot be requested."""
    return AppEngineError(403, STATE, "unknown state in transition request")


def unreadable_body() -> AppEngineError:
    """Return the error for a body that is not JSON, or not of the expected kind, or not a state."""
    return AppEngineError(400, STATE, "unknown state in transition request")


def not_provisioned() -> AppEngineError:
    return AppEngineError(403, NO_PROVISIONS, "not provisioned")


def nothing_to_zip() -> AppEngineError:
    return AppEngineError(403, NO_PROVISIONS, "provisions not found")


def invalid_number() -> AppEngineError:
    """Return the error for an id that is not a UUID, or a string that is not a number."""
    return AppEngineError(400, BUNDLE, "Invalid bundle format")


def null_pointer() -> AppEngineError:
    """Return the error for a required key that is missing."""
    return AppEngineError(500, BUNDLE, "Invalid bundle format")


def not_multipart() -> AppEngineError:
    return AppEngineError(500, "APPE-internal-not-multipart", "payload is not multipart")


def value_error(name: str, message: str, code: str = VALUE) -> AppEngineError:
    return AppEngineError(400, code, message, parameter(name))


def batch_error(errors: Iterable[AppEngineError]) -> AppEngineError:
    message = "Error(s) occurred during a handling of a batch request."
    return AppEngineError(400, BATCH, message, batch(error.content for error in errors))


def unreadable_file(name: str) -> AppEngineError:
    details = related(name, f"Failed to read file {name}")
    return AppEngineError(400, FILE, "failed to read file from storage service", details)


def server_error(message: str | None, *, status: int = 500) -> AppEngineError:
    """Return the error for all that App Engine has no other code for, e.g. an unknown address."""
    return AppEngineError(status, SERVER_ERROR, "Server error.", server(message))
