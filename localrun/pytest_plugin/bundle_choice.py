"""The bundle that a test uses: the session's, or the nearest one in or above the folder of the test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pytest

from localrun.pytest_plugin.options import SESSION_OPTIONS

_DESCRIPTORS = ("descriptor.yml", "descriptor.yaml")
_FIXTURE = "localrun_bundle_path"


def scope(fixture_name: str, config: pytest.Config) -> Literal["session", "function"]:  # noqa: ARG001 - of pytest
    """Return "session" if all tests use one bundle, else "function"."""
    return "session" if session_bundle(config) or _is_overridden(config) else "function"


def session_bundle(config: pytest.Config) -> Path | None:
    """Return the bundle of the options, or that in or above the root folder or the working directory."""
    return config.stash[SESSION_OPTIONS].bundle or _find([config.rootpath, config.invocation_params.dir])


def bundle_of_test(path: Path, config: pytest.Config) -> Path:
    """Return the bundle in or above the folder of a test file. Fails the test if there is none."""
    if found := _find([path.parent]):
        return found
    places = dict.fromkeys(map(str, (path.parent, config.rootpath, config.invocation_params.dir)))
    pytest.fail(
        f"no descriptor.yml found in or above {' or '.join(places)}; set the ini option"
        " localrun_bundle or --localrun-bundle, or define the fixture localrun_bundle_path",
        pytrace=False,
    )


def _find(places: Iterable[Path]) -> Path | None:
    for place in places:
        for folder in (place, *place.parents):
            if any((folder / name).is_file() for name in _DESCRIPTORS):
                return folder
    return None


def _is_overridden(config: pytest.Config) -> bool:
    """Return whether a conftest.py that applies to all tests chooses the bundle."""
    folders = [
        Path(module.__file__).parent
        for module in config.pluginmanager.get_plugins()
        if _is_conftest_with_choice(module)
    ]
    tests = [config.invocation_params.dir / argument.partition("::")[0] for argument in config.args]
    return any(all(test.is_relative_to(folder) for test in tests) for folder in folders)


def _is_conftest_with_choice(module: Any) -> bool:
    path = getattr(module, "__file__", None)
    return path is not None and Path(path).name == "conftest.py" and _FIXTURE in vars(module)
