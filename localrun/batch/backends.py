"""The choice of the backend of a batch."""

from __future__ import annotations

from localrun.app import App
from localrun.batch.backend import Backend
from localrun.batch.delivery import Notify
from localrun.batch.local import LocalBackend
from localrun.errors import UsageError
from localrun.manager.request import Request


def backend_for(
    app: App, request: Request, *, cluster: str | None, jobs: int | None, notify: Notify
) -> Backend:
    """Return the backend for the address of a cluster; None: this machine.

    Raises `UsageError` for an invalid address, and if the package for clusters is not installed.
    """

    def warn(message: str) -> None:
        notify(f"warning: {message}")

    if cluster is None:
        return LocalBackend(app, request, jobs, warn)
    check_address(cluster)
    from localrun.batch.cluster.backend import ClusterBackend

    return ClusterBackend(app, request, cluster, jobs=jobs, notify=notify, warn=warn)


def check_address(cluster: str) -> None:
    """Raise `UsageError` unless this is the address of a cluster, and the package for it is installed."""
    try:
        from localrun.batch.cluster.connection import parse_address
    except ModuleNotFoundError as error:
        raise UsageError(
            f"a cluster needs the package {error.name}",
            remedy="install it: `pip install 'localrun-tasks[cluster]'`",
        ) from error
    parse_address(cluster)
