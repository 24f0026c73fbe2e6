"""The statuses, causes and error codes of the supported platforms."""
