"""The choice of the backend of a batch."""

from __future__ import annotations

import sys

import pytest

from localrun.batch.backends import backend_for
from localrun.batch.local import LocalBackend
from localrun.errors import UsageError
from tests.batch.work import Project


def _ignore(_: str) -> None: ...


def test_rows_run_on_this_machine_without_a_cluster(project: Project) -> None:
    found = backend_for(project.app(), project.request, cluster=None, jobs=3, notify=_ignore)
    assert isinstance(found, LocalBackend)


def test_a_missing_package_is_an_error_with_the_command_to_install_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("localrun.batch.cluster.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    app = project.app()
    with pytest.raises(UsageError, match="a cluster needs the package distributed") as caught:
        backend_for(app, project.request, cluster="local:2", jobs=None, notify=_ignore)
    assert caught.value.remedy == "install it: `pip install 'localrun-tasks[cluster]'`"
