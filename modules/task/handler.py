"""The `TaskManager` class, and the instance with the tasks of `main:app`."""

from localrun.server.asgi import shared_app
from localrun.server.task_system.shared_manager import SharedTaskManager
from localrun.server.task_system.task_manager import TaskManager

__all__ = ["TaskManager", "task_manager"]

task_manager: TaskManager = SharedTaskManager(shared_app())
