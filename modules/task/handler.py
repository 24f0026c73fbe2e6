"""The `TaskManager` class, and the instance that `main:app` uses."""

from localrun.manager.manager import TaskManager
from localrun.server.asgi import shared_app

__all__ = ["TaskManager", "task_manager"]

task_manager: TaskManager = shared_app().manager
