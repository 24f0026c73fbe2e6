"""The secrets of a build: none of them appears in its progress or its errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from localrun.bundle.images.source import ImageFolder
from localrun.engines.base import BuildSecret, Progress, Warn
from localrun.errors import Cause, ImageError, LocalrunError
from localrun.masking.masker import SecretMasker


def check_secrets(source: ImageFolder) -> None:
    """Raise `ImageError` if a build needs secrets that only an earlier process had."""
    if source.lost_secrets:
        names = ", ".join(source.lost_secrets)
        given = " ".join(f"--build-secret id={name},src=FILE" for name in source.lost_secrets)
        raise ImageError(
            f"the image must be built again, and its build secrets are not stored: {names}",
            remedy=f"pass them again: {given}",
            cause=Cause.IMAGE_BUILD_FAILED,
        )


class MaskedBuild:
    """Masks the secrets of a build. Lines are masked one by one, as a build prints them."""

    def __init__(self, secrets: Iterable[BuildSecret], others: Iterable[str] = ()) -> None:
        values = (*(secret.value for secret in secrets), *others)
        self._masker = SecretMasker(line.strip() for value in values for line in (value, *value.splitlines()))

    def progress(self, report: Progress) -> Progress:
        if not self._masker:
            return report
        return lambda what, done, total: report(self._masker.mask_text(what), done, total)

    def warn(self, report: Warn) -> Warn:
        return lambda text: report(self._masker.mask_text(text))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Mask the error of the block."""
        try:
            yield
        except LocalrunError as error:
            if not self._masker:
                raise
            raise self._mask_error(error) from None

    def _mask_error(self, error: LocalrunError) -> LocalrunError:
        problems = [
            replace(one, message=self._text(one.message), remedy=self._text(one.remedy))
            for one in error.problems
        ]
        facts = {name: self._text(value) for name, value in error.facts.items()}
        texts = self._text(error.message), self._text(error.remedy)
        return type(error)(texts[0], remedy=texts[1], cause=error.cause, problems=problems, **facts)

    def _text(self, value: Any) -> Any:
        return self._masker.mask_text(value) if isinstance(value, str) else value
