"""Options of the command line in messages, as Python and HTTP name them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from localrun.errors import LocalrunError

_OPTION = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")


def as_keywords(text: str) -> str:
    """Return a message with `skip_invalid` instead of --skip-invalid."""
    return _OPTION.sub(lambda found: f"`{found[1].replace('-', '_')}`", text)


@contextmanager
def keyword_remedies() -> Iterator[None]:
    """Name keywords instead of options in the remedy of an error."""
    try:
        yield
    except LocalrunError as error:
        error.remedy = as_keywords(error.remedy)
        raise
