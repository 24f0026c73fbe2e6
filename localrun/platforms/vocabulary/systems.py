"""The supported systems."""

from __future__ import annotations

LOCALRUN = "localrun"
SYSTEMS = ("app-engine", "inductiva", "iexec", "task-system")
TITLES = {
    LOCALRUN: "localrun",
    "app-engine": "App Engine",
    "inductiva": "Inductiva",
    "iexec": "iExec",
    "task-system": "Task System",
}
