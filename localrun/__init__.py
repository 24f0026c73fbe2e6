"""Run containerized tasks on this machine, offline, the way their platform would run them."""

from typing import TYPE_CHECKING, Any

from localrun._version import __version__ as __version__

if TYPE_CHECKING:
    from localrun.api import Task, TaskFailed, run, submit, tasks, using, wait_all
    from localrun.batch.handle import Batch
    from localrun.batch.mapping import map  # noqa: A004 - as `Executor.map`
    from localrun.server.client.client import Client
    from localrun.server.task_system import TaskManager

__all__ = [
    "Batch",
    "Client",
    "Task",
    "TaskFailed",
    "TaskManager",
    "map",
    "run",
    "submit",
    "tasks",
    "using",
    "wait_all",
]

if not TYPE_CHECKING:  # type checkers must see only the names above

    def __getattr__(name: str) -> Any:
        # Imported on first use, to keep the command line fast.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "TaskManager":
            from localrun.server import task_system as home
        elif name in ("Batch", "map"):
            from localrun.batch import mapping as home
        elif name == "Client":
            from localrun.server.client import client as home
        else:
            from localrun import api as home

        found = globals()[name] = getattr(home, name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
