"""Download the inputs of a task that are URLs into its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.copying import DiskLimit
from localrun.errors import InputsError, Problem
from localrun.task.active import ActiveTask
from localrun.task.record import InputSource
from localrun.units import format_bytes, format_count
from localrun.values.parsing import FileValue
from localrun.values.references import Reference, replace_references
from localrun.values.urls import Url

_FOLDER = ".urls"  # of the uploads; hidden, so that its files are not uploads themselves


def download_urls(task: ActiveTask, given: Mapping[str, Any], limit: DiskLimit) -> dict[str, Any]:
    """Return the inputs with files in place of URLs, and note where these came from in the record.

    Raises `InputsError` with every URL that failed, and `TaskKilled`.
    """
    loader = _Loader(task, limit)
    found = {name: replace_references(value, name, loader.visit) for name, value in given.items()}
    if loader.problems:
        count = format_count(len(loader.problems), "download")
        remedy = "check the URL and the network, or pass a local file"
        raise InputsError(f"{count} failed", remedy=remedy, problems=loader.problems)
    if loader.sources:
        task.update(sources={**task.record.sources, **loader.sources})
    return found


class _Loader:
    """Downloads each URL once."""

    def __init__(self, task: ActiveTask, limit: DiskLimit) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[str, InputSource] = {}
        self._task = task
        self._limit = limit
        self._files: dict[Url, tuple[Path, str]] = {}

    def visit(self, place: str, found: Reference) -> Any:
        from localrun.values.downloads import DownloadFailed

        if not isinstance(found, Url):
            return found
        try:
            path, sha256 = self._files.get(found) or self._download(place, found)
        except DownloadFailed as error:
            remedy = f"save it as a file and pass it: -i {place}=@FILE"
            message = f"cannot download {found}: {error}"
            self.problems.append(Problem(f"inputs.{place.replace('/', '.')}", message, remedy))
            return found
        self._files[found] = path, sha256
        self.sources[place] = InputSource(url=str(found), sha256=sha256)
        return FileValue(path)

    def _download(self, place: str, url: Url) -> tuple[Path, str]:
        from localrun.values.downloads import download

        task, what = self._task, f"downloading {url}"

        def on_progress(done: int, total: int | None) -> None:
            task.check_cancelled()
            task.emit("progress", what, what=what, done=done, total=total)

        path = task.workspace.uploads / _FOLDER / place.replace("/", ".")
        with fs.wrap_os_errors(task.workspace.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sha256 = download(url, path, self._limit, on_progress)
        task.emit("note", f"downloaded {url} ({format_bytes(path.stat().st_size)})")
        return path, sha256
