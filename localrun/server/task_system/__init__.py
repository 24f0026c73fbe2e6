"""The Task System's Python interface: its models, and its `TaskManager`."""

from localrun.server.task_system.task_manager import TaskManager

__all__ = ["TaskManager"]
