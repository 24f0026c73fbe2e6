"""The pytest plugin: tests for a project's task, and for code that runs tasks.

Exports the classes of its fixtures for annotations. pytest loads `plugin` through the entry point `localrun`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localrun.pytest_plugin.bundle import ProjectBundle
    from localrun.pytest_plugin.case import Case, Mismatch
    from localrun.pytest_plugin.fake import Run, ScriptedEngine
    from localrun.pytest_plugin.live_server import LiveServer
    from localrun.pytest_plugin.task_runner import Bench, TaskEnded
    from localrun.server.client.answers import Answer
    from localrun.server.client.client import Client

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

if not TYPE_CHECKING:  # type checkers must see only the names above

    def __getattr__(name: str) -> Any:
        # pytest imports this package at every start, also in projects that do not use it
        modules = {
            "pytest_plugin.task_runner": ("Bench", "TaskEnded"),
            "pytest_plugin.bundle": ("ProjectBundle",),
            "pytest_plugin.case": ("Case", "Mismatch"),
            "pytest_plugin.fake": ("Run", "ScriptedEngine"),
            "pytest_plugin.live_server": ("LiveServer",),
            "server.client.answers": ("Answer",),
            "server.client.client": ("Client",),
        }
        from importlib import import_module

        for module, names in modules.items():
            if name in names:
                return getattr(import_module(f"localrun.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
