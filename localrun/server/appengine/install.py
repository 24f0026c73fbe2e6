"""Download bundles from the default store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from localrun import fs
from localrun.copying import DiskLimit
from localrun.errors import InputsError
from localrun.platforms.iexec.download import SCHEMES, fetch
from localrun.server.appengine.errors import AppEngineError, related
from localrun.server.appengine.service import AppEngine
from localrun.server.appengine.uploaded_tasks import BUNDLE
from localrun.units import format_bytes


def download(service: AppEngine, namespace: str, version: str, folder: Path) -> None:
    """Download the bundle of a task into a folder of `UploadedTasks.receiving`.

    Raises `AppEngineError` if there is no default store, or it does not send the bundle.
    """
    store = service.stores.default()
    if store is None:
        raise _failure("there is no default store")
    host = store.host if "://" in store.host else f"http://{store.host}"
    if not host.startswith(SCHEMES):
        raise _failure(f"the address of the store is not one of the web: {store.host}")
    url = f"{host.rstrip('/')}/api/v1/tasks/{quote(namespace, safe='')}/{quote(version, safe='')}/bundle.zip"
    limit, left = DiskLimit(service.app.settings.disk_stop), service.upload_limit
    with fs.wrap_os_errors(folder), (folder / BUNDLE).open("xb", buffering=0) as stream:
        try:
            for chunk in fetch(url):
                left -= len(chunk)
                if left < 0:
                    raise _failure(f"the bundle is larger than {format_bytes(service.upload_limit)}")
                limit.use(stream.fileno(), len(chunk))
                fs.write_all(stream, chunk)
        except InputsError as error:
            raise _failure("; ".join(problem.message for problem in error.problems)) from error


def _failure(reason: str) -> AppEngineError:
    message = "failed to download the task from the app store"
    return AppEngineError(400, "APPE-appstore-download-failure", message, related(BUNDLE, reason))
