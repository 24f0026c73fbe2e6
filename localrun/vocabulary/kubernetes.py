"""What `kubectl` shows of an App Engine task: pod statuses, reasons, events, conditions."""

from __future__ import annotations

from localrun.vocabulary.word import Place, rows

_SYSTEM = "app-engine"

# fmt: off
_PODS = rows(_SYSTEM, "pod status", (
    ("Pending", "The pod is accepted, and not all of its containers have started.",
     "QUEUING, QUEUED, PENDING", "`localrun status ID` says what it waits for."),
    ("Running", "At least one container of the pod runs.", "RUNNING", "`localrun logs ID -f` reads along."),
    ("Succeeded", "All containers of the pod ended with exit code 0.", "FINISHED", "Nothing: it went well."),
    ("Failed", "A container of the pod ended with another exit code, or was stopped.", "FAILED, KILLED",
     "`localrun status ID` has the cause."),
    ("Unknown", "The node does not answer, so that nobody knows.", "FAILED ENGINE_LOST|RUNNER_TERMINATED",
     "Look whether the container engine runs: `docker info`."),
))
_REASONS = rows(_SYSTEM, "container reason", (
    ("Waiting|ContainerCreating|PodInitializing", "The container is not started yet.", "PENDING", "Wait."),
    ("Terminated", "The container has ended; its reason and exit code say how.",
     "RUNNING outputs, FINISHED, FAILED, KILLED", "Look at the exit code: `localrun status ID`."),
    ("Completed", "The container ended with exit code 0.", "FINISHED", "Nothing: it went well."),
    ("Error", "The container ended with another exit code than 0.", "FAILED EXIT_NONZERO|SIGNAL",
     "Read what it wrote: `localrun logs ID`."),
    ("OOMKilled", "The kernel ended the program because it went beyond its memory.", "FAILED OUT_OF_MEMORY",
     "Raise `configuration.resources.ram`, or `--memory`; or read less at once."),
    ("StartError|RunContainerError|ContainerCannotRun|CreateContainerError", "The image's program could not"
     " be started at all.", "FAILED ENTRYPOINT_INVALID|IMAGE_PLATFORM",
     "Check ENTRYPOINT, the `#!` line, `chmod +x`, and the platform of the image."),
    ("ErrImagePull", "The image could not be fetched.", "FAILED IMAGE_PULL_FAILED",
     "Try `docker pull IMAGE`, or bundle the image."),
    ("ImagePullBackOff|ErrImageNeverPull|InvalidImageName", "The image is not there and cannot be fetched;"
     " the cluster tries for ever, localrun does not.", "FAILED IMAGE_MISSING|IMAGE_PULL_FAILED",
     "Bundle the image, or correct its name."),
    ("CrashLoopBackOff", "A container ends again and again and is started later each time. A task is run"
     " once, here and there.", "FAILED EXIT_NONZERO", "Read what it wrote: `localrun logs ID`."),
    ("Evicted|Eviction", "The cluster removed the pod to save its node, mostly because the disk was full.",
     "FAILED DISK_PRESSURE|DISK_FULL", "Let the task write less, or free some room."),
))
_EVENTS = rows(_SYSTEM, "event", (
    ("Scheduled", "A node with enough room was found. Here: the task is admitted.", "QUEUED", "Nothing."),
    ("FailedScheduling", "No node can take the pod now; the message counts why. There the run stays in"
     " QUEUING; here it is refused at once if it can never fit.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "Ask for less, end other tasks, or free some disk: `localrun status ID` has the numbers."),
    ("Pulling", "The image is being fetched.", "PENDING", "Wait."),
    ("Pulled", "The image is on the machine.", "PENDING", "Nothing."),
    ("Created", "The container is made, and not started.", "PENDING task", "Nothing."),
    ("Started", "The container runs.", "RUNNING task", "Nothing."),
    ("Killing", "The container is being stopped.", "RUNNING KILLED|TIMEOUT|DISK_PRESSURE", "Wait."),
    ("BackOff", "The cluster waits before it tries again.", "FAILED IMAGE_PULL_FAILED|EXIT_NONZERO",
     "Look at the reason beside it; localrun tries nothing again by itself."),
))
_CONDITIONS = rows(_SYSTEM, "condition", (
    ("PodScheduled", "The pod has a node.", "QUEUED", "Nothing."),
    ("Initialized", "The first containers (permissions, inputs) have ended well.", "PENDING task",
     "Nothing."),
    ("ContainersReady|Ready", "All containers run; false again once they have ended, which is no fault.",
     "RUNNING task", "Nothing."),
)) + rows(_SYSTEM, "condition", (
    ("PodReadyToStartContainers", "The pod's network and sandbox are set up.", "PENDING",
     "Nothing: a container here needs no pod around it."),
), only=Place.CLUSTER, why="A pod wraps several containers for a cluster; here there is one container.")
# fmt: on

WORDS = (*_PODS, *_REASONS, *_EVENTS, *_CONDITIONS)
