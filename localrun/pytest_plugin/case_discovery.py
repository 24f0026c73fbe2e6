"""Finding the cases of a test: folders with inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.pytest_plugin.options import SESSION_OPTIONS

INPUTS, EXPECTED, FAILURE, TOLERANCES = "inputs.json", "expected.json", "failure.json", "tolerances.json"
FIXTURE = "localrun_case"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case. Raises `pytest.UsageError` where there are none."""
    if FIXTURE not in metafunc.fixturenames or _is_parametrized(metafunc):
        return
    folder = _folder(metafunc)
    found = find(folder)
    if not found:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: there are no cases in {folder}: make a folder for each, with"
            f" {INPUTS} and {EXPECTED}, or name another place: @pytest.mark.localrun(cases=...)"
        )
    metafunc.parametrize(
        FIXTURE, [pytest.param(path, id=case_name(path, folder)) for path in found], indirect=True
    )


def _is_parametrized(metafunc: pytest.Metafunc) -> bool:
    """Whether the test names its cases itself."""
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", "")
        if FIXTURE in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return True
    return False


def _folder(metafunc: pytest.Metafunc) -> Path:
    marker = metafunc.definition.get_closest_marker("localrun")
    named = marker.kwargs.get("cases") if marker else None
    beside = metafunc.definition.path.parent
    if named is not None:
        return Path(beside, named).resolve()
    usual = metafunc.config.stash[SESSION_OPTIONS].cases
    return beside / usual if (beside / usual).is_dir() else metafunc.config.rootpath / usual


def find(folder: Path) -> list[Path]:
    """The folder itself if it is a case, else those below it, by name."""
    if (folder / INPUTS).is_file():
        return [folder]
    found = sorted(path.parent for path in folder.rglob(INPUTS))
    wanted = {path.parent for name in (EXPECTED, FAILURE) for path in folder.rglob(name)}
    forgotten = sorted(wanted - set(found))
    if forgotten:
        raise pytest.UsageError(f"the case {forgotten[0]} has no {INPUTS}")
    return found


def case_name(path: Path, folder: Path) -> str:
    """What a case is called."""
    return path.name if path == folder else path.relative_to(folder).as_posix()
