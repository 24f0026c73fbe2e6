"""Labels of the containers and images that localrun creates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

LABEL_TASK = "localrun.task"  # a task's id; on every container
LABEL_STEP = "localrun.step"
LABEL_OWNER = "localrun.owner"  # the process that created the container: host:pid:start time
LABEL_HOME = "localrun.home"  # the folder of the tasks
LABEL_LEDGER = "localrun.ledger"  # the reservation file of the process
LABEL_BUILD = "localrun.build"  # on images that were built
_INSPECTION = "validate"  # the step of a container without a task

BUILD_REPOSITORY = "localrun/build"  # of images that were built
IMAGE_REPOSITORY = "localrun/image"  # of images that were loaded
OWN_REPOSITORIES = (f"{BUILD_REPOSITORY}:", f"{IMAGE_REPOSITORY}:")


def container_name(task_id: str) -> str:
    """Return the name of the container of a task."""
    return f"localrun-{task_id}"


def is_own_container(name: str, labels: Mapping[str, str]) -> bool:
    """Return whether localrun created a container.

    Labels alone prove nothing: a container inherits those of its image, and `docker commit` copies those of
    a task's container into an image.
    """
    return name == container_name(labels.get(LABEL_TASK, ""))


def inspection_labels(task_id: str) -> dict[str, str]:
    """Return the labels of a container in which this process looks at the files of an image."""
    owner = f"{os.uname().nodename}:{os.getpid()}:"  # its start time is not needed
    return {LABEL_TASK: task_id, LABEL_STEP: _INSPECTION, LABEL_OWNER: owner}


def is_in_use(labels: Mapping[str, str]) -> bool:
    """Return whether a process may still look at the files of an image in this container.

    A process of another machine is not visible. It is assumed to be alive.
    """
    host, *pid = labels.get(LABEL_OWNER, "").split(":")[:2]
    if labels.get(LABEL_STEP) != _INSPECTION or not pid:
        return False
    return host != os.uname().nodename or os.path.lexists(f"/proc/{pid[0]}")


def is_of_other_ledger(labels: Mapping[str, str], ledger: Path) -> bool:
    """Return whether a container belongs to processes that use another reservation file, which exists.

    Such processes are those of another user, or of a session with a `LOCALRUN_LEDGER` of its own. Containers
    of localrun 0.1.0 have no such label.
    """
    found = labels.get(LABEL_LEDGER, "")
    return found not in ("", str(ledger.absolute())) and os.path.lexists(found)
