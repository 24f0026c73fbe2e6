"""localrun in Python: submit tasks, and hold on to them from any process.

outputs = localrun.run("samples/add-integers", a=3, b=4)
task = localrun.submit("samples/add-integers", a=3, b=4)
localrun.Task(task.id).wait()
"""

from localrun.handle.apps import using
from localrun.handle.batch import wait_all
from localrun.handle.failure import TaskFailed
from localrun.handle.submission import run, submit
from localrun.handle.task import Task

__all__ = ["Task", "TaskFailed", "run", "submit", "using", "wait_all"]
