"""What `kubectl` shows of an App Engine task: pod statuses, reasons, events, conditions."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "app-engine"

# fmt: off
_PODS = make_terms(_SYSTEM, "pod status", (
    ("Pending", "The pod is accepted, and not all of its containers have started.",
     "QUEUING, QUEUED, PENDING", "`localrun status ID` says what it waits for."),
    ("Running", "At least one container of the pod runs.", "RUNNING", "`localrun logs ID -f` reads along."),
    ("Succeeded", "All containers of the pod ended with exit code 0.", "FINISHED", "Nothing: it went well."),
    ("Failed", "A container of the pod ended with another exit code, or was stopped.", "FAILED, KILLED",
     "`localrun status ID` has the cause."),
    ("Unknown", "The node does not answer, so that nobody knows.", "FAILED ENGINE_LOST|RUNNER_TERMINATED",
     "Look whether the container engine runs: `docker info`."),
))
_REASONS = make_terms(_SYSTEM, "container reason", (
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
    ("DeadlineExceeded", "The pod ran longer than it may.", "FAILED TIMEOUT",
     "Give it more: `--timeout`; the end of the log shows where it was."),
    ("Unschedulable", "No node has room for the pod now.", "QUEUING",
     "Wait, or ask for less: `localrun status ID` has the numbers."),
    ("Evicted|Eviction", "The cluster removed the pod to save its node, mostly because the disk was full.",
     "FAILED DISK_PRESSURE|DISK_FULL", "Let the task write less, or free some room."),
))
_EVENTS = make_terms(_SYSTEM, "event", (
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
_CONDITIONS = make_terms(_SYSTEM, "condition", (
    ("PodScheduled", "The pod has a node.", "QUEUED", "Nothing."),
    ("Initialized", "The first containers (permissions, inputs) have ended well.", "PENDING task",
     "Nothing."),
    ("ContainersReady|Ready", "All containers run; false again once they have ended, which is no fault.",
     "RUNNING task", "Nothing."),
)) + make_terms(_SYSTEM, "condition", (
    ("PodReadyToStartContainers", "The pod's network and sandbox are set up.", "PENDING",
     "Nothing: a container here needs no pod around it."),
), only=Availability.CLUSTER,
   why="A pod wraps several containers for a cluster; here there is one container.")
_CODES = make_terms(_SYSTEM, "exit code", (
    ("Exit Code 126|126", "A program that was called is not executable, or is none.",
     "FAILED ENTRYPOINT_INVALID|EXIT_NONZERO", "`RUN chmod +x` in the Dockerfile; look at the `#!` line."),
    ("Exit Code 127|127", "A program that was called is not there, or not in its PATH.",
     "FAILED ENTRYPOINT_INVALID|EXIT_NONZERO", "Install it in the image, or correct its name."),
    ("Exit Code 132|132|SIGILL", "The program used an instruction that this processor has not.",
     "FAILED SIGNAL", "Use a library that was built for this kind of processor."),
    ("Exit Code 134|134|SIGABRT", "The program gave up by itself, mostly after a failed check.",
     "FAILED SIGNAL", "Read the end of its log: `localrun logs ID`."),
    ("Exit Code 137|137|SIGKILL", "The program was ended by force: by the kernel for want of memory, or"
     " because it went on after it was asked to end.", "FAILED OUT_OF_MEMORY|TIMEOUT, KILLED",
     "`localrun status ID` says which; raise `--memory` or `--timeout`."),
    ("Exit Code 139|139|SIGSEGV", "The program reached for memory that is not its own: a crash in native"
     " code.", "FAILED SIGNAL", "Read the end of its log: `localrun logs ID`."),
    ("Exit Code 143|143|SIGTERM", "The program was asked to end, and did.",
     "KILLED, FAILED TIMEOUT|SIGNAL", "`localrun status ID` says who asked."),
    ("Exec format error", "The program is made for another kind of machine, or is a script without a `#!`"
     " line.", "FAILED IMAGE_PLATFORM|ENTRYPOINT_INVALID",
     "Build for this machine (`--platform linux/amd64`); begin a script with `#!/bin/sh`."),
))
_SHEET = make_terms(_SYSTEM, "sheet", (
    ("Preemption|Preemption is not helpful for scheduling|No preemption victims found", "Whether it would"
     " help to end other pods for this one; for a full disk it would not.", "QUEUING",
     "Free some room, or end other tasks: `localrun status ID` says what is short."),
    ("nodes are available", "How many nodes could take the pod, and for each reason how many could not.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "The reasons stand behind it; here there is one node: this machine."),
    ("QoS Class|Guaranteed", "A pod whose limits are what it asks for is the last to be evicted.",
     "=cpu and memory are reserved in full before a task starts, and are its limits", "Nothing."),
    ("Restart Count|Restarts|RESTARTS", "How often a container was started again.",
     "=always 0: a task runs once", "Nothing."),
    ("Tolerations|node.kubernetes.io/not-ready|node.kubernetes.io/unreachable", "For how long a pod stays"
     " on a node that does not answer.",
     "=`LOCALRUN_ENGINE_PATIENCE`: the seconds that a task waits for an engine that went away",
     "Look whether the container engine runs: `docker info`."),
    ("Local mode", "Server and nodes share a disk: inputs and outputs are folders that are mounted.",
     "=inputs and outputs are mounted from the task's folder", "Nothing."),
)) + make_terms(_SYSTEM, "sheet", (
    ("Cluster mode", "Server and nodes share no disk: one more container fetches the inputs, and outputs"
     " that were not declared are refused.", "FAILED OUTPUTS_INVALID",
     "Write nothing but the declared outputs into the output folder."),
), only=Availability.CLUSTER,
   why="On one machine the files are where they are needed.")
# fmt: on

TERMS = (*_PODS, *_REASONS, *_EVENTS, *_CONDITIONS, *_CODES, *_SHEET)
