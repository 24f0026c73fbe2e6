"""The task manager, as the guide imports it."""

from .handler import TaskManager, task_manager

__all__ = ["TaskManager", "task_manager"]
