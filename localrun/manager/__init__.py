"""The task manager: submission, registry, recovery, replicas, rerun and export."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localrun.manager.manager import TaskManager

__all__ = ["TaskManager"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "TaskManager":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from localrun.manager.manager import TaskManager

        return TaskManager
