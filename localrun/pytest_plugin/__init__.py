"""The pytest plugin: test the task that a project ships, and code that runs tasks.

The classes behind its fixtures, for annotations. pytest itself loads `plugin`, by the entry point `localrun`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localrun.pytest_plugin.bundle import ProjectBundle
    from localrun.pytest_plugin.case import Case, Mismatch
    from localrun.pytest_plugin.fake import Run, ScriptedEngine
    from localrun.pytest_plugin.live_server import Answer, Client, LiveServer
    from localrun.pytest_plugin.task_runner import Bench, TaskEnded

__all__ = [
    "Answer",
    "Bench",
    "Case",
    "Client",
    "LiveServer",
    "Mismatch",
    "ProjectBundle",
    "Run",
    "ScriptedEngine",
    "TaskEnded",
]

if not TYPE_CHECKING:  # who checks types is to see these names, and no others

    def __getattr__(name: str) -> Any:
        # pytest imports this package at every start, in projects that do not use it, too
        homes = {
            "task_runner": ("Bench", "TaskEnded"),
            "bundle": ("ProjectBundle",),
            "case": ("Case", "Mismatch"),
            "fake": ("Run", "ScriptedEngine"),
            "live_server": ("Answer", "Client", "LiveServer"),
        }
        from importlib import import_module

        for module, names in homes.items():
            if name in names:
                return getattr(import_module(f"localrun.pytest_plugin.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
