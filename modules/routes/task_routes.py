"""The task manager that the routes of `main:app` call. Tests may replace it."""

from modules.task.handler import task_manager

__all__ = ["task_manager"]
