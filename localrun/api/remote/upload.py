"""Upload a bundle to a server, with the verdicts of localrun and of the server."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun.api.remote.client import AppEngineClient, Refusal, describe
from localrun.api.remote.comparison import Step, Verdict, of_answer, of_problems
from localrun.api.remote.connection import Reply
from localrun.app import App
from localrun.bundle.builder.builder import BuildOptions, build
from localrun.bundle.images.build_options import NO_OPTIONS, FolderBuild
from localrun.bundle.validation.findings import Severity, ValidationReport
from localrun.bundle.validation.validator import validate
from localrun.engines.base import Progress, Warn, no_progress, no_warning


@contextmanager
def packed(
    app: App,
    bundle: Path,
    image: str | None = None,
    options: FolderBuild = NO_OPTIONS,
    *,
    progress: Progress = no_progress,
    warn: Warn = no_warning,
) -> Iterator[tuple[Path, ValidationReport]]:
    """Yield a zip to upload, and localrun's report on it.

    A zip is the bundle as it is, even if localrun would reject it. Any other bundle is built into a temporary
    zip, and this raises as `build`.
    """
    cache = app.settings.cache
    if bundle.is_file() and image is None and bundle.suffix.lower() not in (".yml", ".yaml"):
        yield bundle, validate(bundle, cache=cache, engine=lambda: app.engine)
        return
    with tempfile.TemporaryDirectory(prefix="localrun-") as folder:
        request = BuildOptions(bundle, Path(folder) / "bundle.zip", image, options, force=True)
        built = build(request, lambda: app.engine, cache=cache, progress=progress, warn=warn)
        yield built.path, built.report


def upload(
    client: AppEngineClient, archive: Path, report: ValidationReport, progress: Progress
) -> tuple[Step, Reply]:
    """Upload a zip. Return both verdicts, and the answer of the server."""
    answer = client.upload(archive, _as_bytes(progress))
    return Step("bundle", of_report(report), of_answer(answer)), answer


def replace_task(client: AppEngineClient, report: ValidationReport) -> None:
    """Delete the task with the same namespace and version, and its runs. Raises `Refusal`."""
    if report.descriptor is None:
        return
    answer = client.delete_task(report.descriptor.namespace, report.descriptor.version)
    if not answer.is_ok and answer.status != 404:
        raise Refusal(
            f"{client.url} cannot delete the task: {describe(answer)}", remedy="see the log of the server"
        )


def of_report(report: ValidationReport) -> Verdict:
    """Return localrun's verdict: whether App Engine would accept the bundle."""
    findings = report.with_severity(Severity.ERROR, Severity.REFUSED)
    at_upload = [
        finding for finding in findings if finding.severity is Severity.ERROR or finding.step == "upload"
    ]
    return of_problems(finding.problem for finding in at_upload)


def _as_bytes(progress: Progress) -> Callable[[int, int], None]:
    return lambda sent, total: progress("uploading", sent, total)
