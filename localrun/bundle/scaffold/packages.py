"""Parse the Python packages of a new bundle: `numpy`, `pillow>=10`, `scikit-image[data]==0.25.*`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from localrun.descriptor.types import format_value
from localrun.engines.log_remedies import DISTRIBUTIONS
from localrun.errors import Problem

_VERSIONS = r"(?:[<>]=?|[=!~]=|===)\s*[\w.*+!-]+"
# versions and extras may contain commas: numpy>=1.26,<3 and x[a,b]
_SEPARATOR = re.compile(r",(?!\s*[<>=!~])(?![^\[]*\])")
# PEP 508, without URLs and environment markers
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._, -]*\])?"
    rf"\s*(?:{_VERSIONS}(?:\s*,\s*{_VERSIONS})*)?",
    re.ASCII,
)
EXAMPLES = "numpy, pillow>=10, scikit-image==0.25.*"


def parse_packages(texts: Sequence[str], problems: list[Problem]) -> list[str]:
    """Parse comma-separated requirements for `requirements.txt`; append the problems to `problems`."""
    found: dict[str, str] = {}
    for text in (part.strip() for given in texts for part in _SEPARATOR.split(given)):
        matched = _REQUIREMENT.fullmatch(text)
        path = f"--with {text}".strip()
        if not matched:
            problems.append(
                Problem(path, f"invalid package {format_value(text)}", f"expected e.g. {EXAMPLES}")
            )
            continue
        name = matched["name"]
        if name in DISTRIBUTIONS and DISTRIBUTIONS[name] != name:
            message = f"{name!r} is the name of a module, not of its package"
            problems.append(Problem(path, message, f"use {DISTRIBUTIONS[name]}"))
        elif (key := re.sub(r"[-_.]+", "-", name).lower()) in found:
            problems.append(Problem(path, f"duplicate package {name!r}", "name it once"))
        else:
            found[key] = text
    return list(found.values())
