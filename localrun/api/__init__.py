"""The Python API: submit tasks and access them from any process.

outputs = localrun.run("samples/add-integers", a=3, b=4)
task = localrun.submit("samples/add-integers", a=3, b=4)
localrun.Task(task.id).wait()
"""

from localrun.api.apps import using
from localrun.api.exceptions import TaskFailed
from localrun.api.listing import tasks
from localrun.api.submission import run, submit
from localrun.api.task import Task
from localrun.api.wait import wait_all

__all__ = ["Task", "TaskFailed", "run", "submit", "tasks", "using", "wait_all"]
