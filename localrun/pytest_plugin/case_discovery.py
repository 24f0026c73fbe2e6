"""Discovery of test cases: folders with inputs, as a file of values or a folder in App Engine's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from localrun.pytest_plugin.options import SESSION_OPTIONS

FOLDER = "inputs"
INPUTS, EXPECTED, FAILURE, TOLERANCES = "inputs.json", "expected.json", "failure.json", "tolerances.json"
FIXTURE = "localrun_case"


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test with its cases. Raises `pytest.UsageError` if there are none."""
    if FIXTURE not in metafunc.fixturenames or _is_parametrized(metafunc):
        return
    folder = _folder(metafunc)
    found = find(folder)
    if not found:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: no cases in {folder}; create a folder for each, with {INPUTS} or"
            f" {FOLDER}/ and {EXPECTED}, or set another folder: @pytest.mark.localrun(cases=...)"
        )
    metafunc.parametrize(
        FIXTURE, [pytest.param(path, id=case_name(path, folder)) for path in found], indirect=True
    )


def _is_parametrized(metafunc: pytest.Metafunc) -> bool:
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", "")
        if FIXTURE in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return True
    return False


def _folder(metafunc: pytest.Metafunc) -> Path:
    marker = metafunc.definition.get_closest_marker("localrun")
    named = marker.kwargs.get("cases") if marker else None
    test_folder = metafunc.definition.path.parent
    if named is not None:
        return Path(test_folder, named).resolve()
    default = metafunc.config.stash[SESSION_OPTIONS].cases
    return test_folder / default if (test_folder / default).is_dir() else metafunc.config.rootpath / default


def find(folder: Path) -> list[Path]:
    """Return the folder itself if it is a case, else the cases below it, sorted by name."""
    if (folder / INPUTS).is_file():
        return [folder]
    found = sorted({path.parent for path in folder.rglob(INPUTS)} | _with_folder(folder))
    if folder in found:
        return [folder]
    expected = {path.parent for name in (EXPECTED, FAILURE) for path in folder.rglob(name)}
    incomplete = sorted(expected - set(found))
    if incomplete:
        raise pytest.UsageError(f"no {INPUTS} in the case {incomplete[0]}, and no folder {FOLDER}")
    return found


def _with_folder(folder: Path) -> set[Path]:
    """Return the folders with a folder of inputs instead of a file.

    A folder of that name next to other cases holds files that they share.
    """
    files = {path.parent for path in folder.rglob(INPUTS)}
    found = {path.parent for path in folder.rglob(FOLDER) if path.is_dir()}
    nested = {path for path in found if any(part == FOLDER for part in path.relative_to(folder).parts)}
    shared = {path for path in found for other in (*files, *(found - nested)) if path in other.parents}
    return found - nested - shared - files


def case_name(path: Path, folder: Path) -> str:
    """Return the name of a case: its path below `folder`."""
    return path.name if path == folder else path.relative_to(folder).as_posix()
