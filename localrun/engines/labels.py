"""Labels of the containers and images that localrun creates."""

LABEL_TASK = "localrun.task"  # a task's id; on every container
LABEL_STEP = "localrun.step"
LABEL_OWNER = "localrun.owner"  # the process that created the container: host:pid:start time
LABEL_HOME = "localrun.home"  # the folder of the tasks
LABEL_BUILD = "localrun.build"  # on images that were built
