"""The refusals of a value, with the codes and the messages of App Engine."""

from __future__ import annotations

from localrun.server.appengine import errors

DIMENSIONS = "APPE-internal-invalid-dimensions"
_STRUCTURE = "APPE-internal-invalid-structure"
_COLLECTION = "APPE-internal-invalid-collection"
_STORING = "APPE-storage-storing-input-failed"

WRONG_TYPE = "invalid parameter type"
NO_MATCH = "value does not match defined constraint."
TOO_SMALL = "value must be greater than defined constraint"
BELOW = "value must be greater than or equal to define constraint"
TOO_LARGE = "value must be less than defined constraint"
ABOVE = "value must be less than or equal to defined constraint"


class InvalidValue(Exception):
    """A value that breaks a rule; by default an error 400 that names the parameter."""

    def __init__(self, message: str, code: str = errors.VALUE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    def error(self, name: str) -> errors.AppEngineError:
        """Return the error response for the parameter `name`."""
        return errors.value_error(name, self.message, self.code)


class NotStored(InvalidValue):
    """A value that passes the checks of App Engine, which then cannot write it."""

    def __init__(self, description: str) -> None:
        super().__init__("failed to store input file in storage service", _STORING)
        self.description = description

    def error(self, name: str) -> errors.AppEngineError:
        details = errors.related(name, self.description)
        return errors.AppEngineError(400, self.code, self.message, details)


class NotANumber(InvalidValue):
    """Text that Java does not read as a number: an error that names no parameter."""

    def __init__(self) -> None:
        super().__init__("Invalid bundle format", errors.BUNDLE)

    def error(self, _: str) -> errors.AppEngineError:
        return errors.invalid_number()


class Unexpected(InvalidValue):
    """A value that App Engine does not expect: error 500."""

    def error(self, name: str) -> errors.AppEngineError:
        return errors.server_error(f"{name}: {self.message}")


def wrong_dimensions() -> InvalidValue:
    return InvalidValue("invalid collection dimensions", DIMENSIONS)


def wrong_structure() -> InvalidValue:
    return InvalidValue("invalid provision structure", _STRUCTURE)


def wrong_collection() -> InvalidValue:
    return InvalidValue("invalid feature collection", _COLLECTION)
