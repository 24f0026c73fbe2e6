"""Where App Engine's documentation, its schema and its server disagree: one table.

localrun accepts what the documentation or the schema promises, and warns where the server would refuse.
"""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "App Engine would refuse this: "


class Divergence(NamedTuple):
    """What the server does, how to please it, and the code of its answer ("" when it gives none)."""

    reason: str
    remedy: str
    code: str = ""

    @property
    def warning(self) -> str:
        """The text of the warning; it always begins the same way."""
        return PREFIX + self.reason

    def at(self, path: str) -> str:
        """The warning of a value, on one line."""
        return f"{PREFIX}{path}: {self.reason}; {self.remedy}"


_UPLOAD = "APPE-internal-bundle-validation-error"
_SCHEMA = "APPE-internal-bundle-schema-validation-error"
_VALUE = "APPE-internal-request-validation-error"
_SERVER = "APPE-internal-server-error"

TABLE: dict[str, Divergence] = {
    # the descriptor as a whole
    "name_short": Divergence(
        "its upload ends in error 500 without 'name_short', which its schema does not mention",
        "add name_short with a short form of the name",
        _UPLOAD,
    ),
    "folder": Divergence(
        "its upload ends in error 500 without this key, although the schema gives a default",
        "write the default out",
        _UPLOAD,
    ),
    "author": Divergence(
        "its schema demands this key of every author, although the documentation calls it optional",
        "add it",
        _SCHEMA,
    ),
    "namespace_dash": Divergence(
        "a '-' in the namespace breaks the name of the image, so no run could start",
        "use '_' or leave it out",
        _UPLOAD,
    ),
    "version_build": Divergence(
        "a version with '+' cannot be the tag of an image",
        "leave the build part out",
        _UPLOAD,
    ),
    "no_inputs": Divergence(
        "a task without inputs can be uploaded, but no run of it can be created",
        "declare at least one input",
        "APPE-internal-task-not-found",
    ),
    # resources
    "ram_quantity": Divergence(
        "it hands the text to Kubernetes, which does not know this spelling of a quantity",
        "write the number and the prefix alone, such as 2Gi",
        _SERVER,
    ),
    # parameters
    "display_name": Divergence(
        "its upload ends in error 500 when a parameter has no 'display_name'",
        "add display_name",
        _UPLOAD,
    ),
    "derived_from": Divergence(
        "its upload ends in error 500 when an output has 'dependencies' without 'derived_from'",
        "add derived_from: inputs/<name>, or leave dependencies out",
        _UPLOAD,
    ),
    "derived_from_short": Divergence(
        "it cuts the first 7 letters off 'derived_from' without looking, and this is shorter",
        "write inputs/<name>",
        _UPLOAD,
    ),
    "output_optional": Divergence(
        "it requires every output, optional or not",
        "let the task write the output in every case",
        _SERVER,
    ),
    # types
    "datetime_range": Divergence(
        "its upload ends in error 500 when a datetime has 'before' or 'after'",
        "check the range in the task itself",
        _UPLOAD,
    ),
    "file_size_bare": Divergence(
        "its schema demands a prefix such as k, Mi or G, although the documentation calls it optional",
        "write for example 10MB",
        _SCHEMA,
    ),
    "file_size_unit": Divergence(
        "it takes this size at upload and then refuses every value with 'invalid size format'",
        "end the size with B",
        _VALUE,
    ),
    "array_datetime": Divergence(
        "it cannot read a datetime in an output array and fails every run",
        "use an array of strings",
        _VALUE,
    ),
    "array_nested_sizes": Divergence(
        "it fails on a nested array that lacks min_size or max_size",
        "set both",
        _UPLOAD,
    ),
    "array_nested_output": Divergence(
        "it counts only the files of an output array, not its folders, and finds this nested one too small",
        "leave min_size at 0, or use a flat array",
        "APPE-internal-invalid-dimensions",
    ),
    # values
    "integer_spelling": Divergence(
        "it reads decimal integers only, although the documentation allows base 2, 8 and 16 and '_'",
        "write plain decimal digits",
        _UPLOAD,
    ),
    "integer_fraction": Divergence(
        "it takes no integer with a decimal point as a value, although its schema takes one as a default",
        "write it without the point",
        _UPLOAD,
    ),
    "array_not_a_number": Divergence(
        "in an array it knows only the spellings NaN, Infinity and -Infinity",
        "write one of these",
        _UPLOAD,
    ),
    "array_stray": Divergence(
        "it cannot list an array whose folder holds anything but array.yml and items named 0, 1, 2, ...",
        "write other files elsewhere",
        _SERVER,
    ),
}


def divergence(key: str) -> Divergence:
    """One row of the table."""
    return TABLE[key]
