"""The systems whose terms are known."""

from __future__ import annotations

HERE = "localrun"
SYSTEMS = ("app-engine", "inductiva", "iexec", "task-system")
TITLES = {
    HERE: "localrun",
    "app-engine": "App Engine",
    "inductiva": "Inductiva",
    "iexec": "iExec",
    "task-system": "Task System",
}
