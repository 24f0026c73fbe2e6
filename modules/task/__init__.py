"""The task manager under the import path of the guide."""

from .handler import TaskManager, task_manager

__all__ = ["TaskManager", "task_manager"]
