"""Check whether a bundle runs here and whether App Engine would accept it, and report all findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.bundle.images import archive_index
from localrun.bundle.images.build_options import NO_OPTIONS, FolderBuild
from localrun.bundle.images.compressed import CorruptArchive
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.load import published_image
from localrun.bundle.images.source import ImageArchive
from localrun.bundle.reader import Bundle, read_bundle
from localrun.bundle.validation import container_files, image_config, layers, program, upload
from localrun.bundle.validation.findings import (
    EXTRACTION,
    IEXEC,
    SCHEMA,
    UPLOAD,
    Finding,
    Severity,
    ValidationReport,
    from_warning,
    warning,
)
from localrun.bundle.validation.image_config import ImageConfig
from localrun.descriptor.divergences import PREFIX, find_by_message
from localrun.errors import (
    BundleError,
    Cause,
    DescriptorError,
    EngineError,
    ImageError,
    LocalrunError,
    Problem,
)

if TYPE_CHECKING:
    from localrun.engines.base import Engine

__all__ = ["Finding", "ImageConfig", "Severity", "ValidationReport", "validate", "validate_upload"]

_OF_ROOT = ("the descriptor is empty", "expected a mapping")
_NO_IMAGE = "there is no image archive"
_UNAVAILABLE = (Cause.IMAGE_BUILD_FAILED, Cause.IMAGE_MISSING, Cause.IMAGE_PULL_FAILED)


def validate(
    path: Path,
    *,
    cache: Path,
    engine: Callable[[], Engine],
    image: str | None = None,
    build: FolderBuild = NO_OPTIONS,
) -> ValidationReport:
    """Validate a bundle without running it.

    `engine` is called only for images that must be built or are in the engine; an image in an archive is read
    from the archive. Checks that could not be done are reported, but are not findings. Raises `BundleError`
    if `path` does not exist, or is a folder whose descriptor is elsewhere.
    """
    try:
        found = read_bundle(path, image=image, cache=cache, build=build)
    except (BundleError, DescriptorError, ImageError) as error:
        if not path.exists() or error.facts.get("is_bundle") is False:
            raise
        return ValidationReport(str(path), tuple(_from_error(error)))
    return _Validation(found, engine, cache, build.platform).report()


def validate_app(
    app: Bundle,
    command: Sequence[str] | None,
    *,
    cache: Path,
    engine: Callable[[], Engine],
    build: FolderBuild = NO_OPTIONS,
) -> ValidationReport:
    """Validate an iExec app without running it: whether its image can be had, and its program can start.

    `app` has the descriptor that was generated for it, and `command` replaces the image's CMD unless it is
    None. The rules of App Engine are not applied.
    """
    found = _Validation(app, engine, cache, build.platform)
    found.command = command
    return found.report_app()


def validate_upload(path: Path, *, cache: Path) -> ValidationReport:
    """Check what App Engine checks when a zip is uploaded, and what localrun needs to run it.

    The files of its image are not read.
    """
    try:
        found = read_bundle(path, cache=cache)
    except (BundleError, DescriptorError, ImageError) as error:
        return ValidationReport(str(path), tuple(_from_error(error)))
    return _Validation(found, None, cache, "").report()


def _from_error(error: LocalrunError) -> Iterator[Finding]:
    problems = error.problems or (Problem("", error.message, error.remedy),)
    for problem in problems:
        yield Finding(Severity.ERROR, problem, _code_of(error, problem))
    if isinstance(error, DescriptorError):
        found = map(from_warning, error.warnings)
        yield from (finding for finding in found if finding.severity is Severity.REFUSED)


def _code_of(error: LocalrunError, problem: Problem) -> str:
    row = find_by_message(problem.message)
    if (row is not None and row.verdict == "takes") or error.facts.get("is_unsafe"):
        return ""
    if isinstance(error, DescriptorError) and problem.line:
        # invalid YAML is rejected before the schema is checked
        is_schema = problem.path or problem.message.startswith(_OF_ROOT)
        return SCHEMA if is_schema else EXTRACTION
    if "kind" in error.facts:  # not a zip
        return UPLOAD if error.facts["kind"] == "empty file" else EXTRACTION
    if error.facts.get("is_damaged"):
        return EXTRACTION
    return "" if problem.message.startswith(_NO_IMAGE) else UPLOAD


def _of_worker(finding: Finding) -> Finding:
    """Return a finding about the image of an app in words of iExec, whose workers start it with Docker."""
    if finding.severity is not Severity.REFUSED:
        return finding
    message = finding.problem.message.removeprefix(PREFIX)
    return Finding(
        Severity.REFUSED, replace(finding.problem, message=f"an iExec worker would fail: {message}")
    )


def _check_variables(image: ImageConfig) -> Iterator[Finding]:
    """Yield a warning for each variable of the image that the worker sets."""
    for name in sorted({entry.partition("=")[0] for entry in image.environment}):
        if name.startswith("IEXEC_"):
            message = f"the image sets {name}, which the worker replaces"
            yield warning("image.environment", message, "remove it from the Dockerfile")


class _Validation:
    """The validation of one bundle; without an `engine`, of all but the files of its image."""

    def __init__(
        self, bundle: Bundle, engine: Callable[[], Engine] | None, cache: Path, platform: str
    ) -> None:
        self._bundle = bundle
        self._descriptor = bundle.descriptor
        self._engine = engine
        self._cache = cache
        self._platform = platform
        self.command: Sequence[str] | None = None
        self._unchecked: list[str] = []
        self._config: ImageConfig | None = None
        self._image_error: ImageError | None = None
        self._builder_warnings: list[str] = []

    def report(self) -> ValidationReport:
        """Return all findings, the most severe first."""
        found = [*self._check_descriptor(), *self._check_upload(), *self._check_image()]
        found += (from_warning(Problem("image", text)) for text in self._builder_warnings)
        order = list(Severity)
        findings = sorted(dict.fromkeys(found), key=lambda finding: order.index(finding.severity))
        name, unchecked = self._bundle.name, tuple(self._unchecked)
        return ValidationReport(
            name, tuple(findings), unchecked, self._descriptor, self._config, self._image_error
        )

    def report_app(self) -> ValidationReport:
        """Return the findings for an iExec app, the most severe first."""
        found = [from_warning(Problem("", text)) for text in self._bundle.warnings]
        found += self._check_image(is_app=True)
        found += (from_warning(Problem("image", text)) for text in self._builder_warnings)
        if self._config is not None:
            found += _check_variables(self._config)
        order = list(Severity)
        findings = sorted(dict.fromkeys(map(_of_worker, found)), key=lambda one: order.index(one.severity))
        name, unchecked = self._bundle.name, tuple(self._unchecked)
        return ValidationReport(
            name, tuple(findings), unchecked, None, self._config, self._image_error, platform=IEXEC
        )

    def _check_descriptor(self) -> Iterator[Finding]:
        warnings = self._descriptor.warnings
        others = self._bundle.warnings[len(warnings) :]
        notes = self._descriptor.notes
        yield from map(from_warning, (*warnings, *notes, *(Problem("", text) for text in others)))

    def _check_upload(self) -> Iterator[Finding]:
        path, source = self._bundle.path, self._bundle.image
        if not isinstance(source, ImageArchive):
            return upload.check_name(upload.archive_name(self._descriptor), self._descriptor)
        if path is not None and path.is_file():
            return upload.check_zip(path, self._descriptor)
        return upload.check_name(source.span.path.name, self._descriptor)

    def _check_image(self, *, is_app: bool = False) -> Iterator[Finding]:
        source = self._bundle.image
        try:
            if isinstance(source, ImageArchive):
                yield from self._check_archived(source, is_app=is_app)
            else:
                yield from self._check_in_engine()
        except ImageError as error:
            if error.cause is Cause.IMAGE_INVALID:
                yield from _from_error(error)
            elif error.cause in _UNAVAILABLE:  # says nothing about App Engine
                self._image_error = error
                self._unchecked.append(f"the image: {error.message}; hint: {error.remedy}")
            else:  # for another platform
                yield Finding(Severity.ERROR, Problem("image", error.message, error.remedy))
        except EngineError as error:
            self._unchecked.append(f"the image: {error.message}")

    def _started(self, image: ImageConfig) -> ImageConfig:
        return image if self.command is None else replace(image, command=tuple(self.command))

    def _check_archived(self, source: ImageArchive, *, is_app: bool) -> Iterator[Finding]:
        image = published_image(source, self._platform)
        try:
            found = archive_index.read_index(source.span)
        except CorruptArchive as error:
            raise ImageError(f"cannot read {source.name}: {error}", remedy="save the image again") from error
        self._config = image_config.from_archive(image, found, source.name)
        if not is_app:
            yield from upload.check_archive(found, source.name)
        if self._engine is None:
            return
        try:
            files = layers.read_layers(source.span, image)
        except layers.UnreadableLayer as error:
            self._unchecked.append(f"the files of the image: {error}")
            yield from program.check_platform(self._started(self._config))
            return
        yield from program.check(self._started(self._config), self._descriptor, files)

    def _check_in_engine(self) -> Iterator[Finding]:
        if self._engine is None:
            return
        engine = self._engine()
        warn = self._builder_warnings.append
        self._builder_warnings.extend(engine.info().warnings)
        image = ensure_image(
            self._bundle.image, engine, cache=self._cache, platform=self._platform, warn=warn
        )
        self._config = image_config.from_engine(image, self._bundle.image_name)
        with container_files.open_container_files(engine, image.id, self._platform) as files:
            yield from program.check(self._started(self._config), self._descriptor, files)
