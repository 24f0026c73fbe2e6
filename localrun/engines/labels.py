"""Labels of the containers and images that localrun creates."""

from __future__ import annotations

from collections.abc import Mapping

LABEL_TASK = "localrun.task"  # a task's id; on every container
LABEL_STEP = "localrun.step"
LABEL_OWNER = "localrun.owner"  # the process that created the container: host:pid:start time
LABEL_HOME = "localrun.home"  # the folder of the tasks
LABEL_BUILD = "localrun.build"  # on images that were built

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
