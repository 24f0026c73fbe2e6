"""Terms that `kubectl` shows for an App Engine task: pod statuses, reasons, events, conditions."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "app-engine"

# fmt: off
_PODS = make_terms(_SYSTEM, "pod status", (
    ("Pending", "The pod is accepted, but not all of its containers have started.",
     "QUEUING, QUEUED, PENDING", "`localrun status ID` shows what it waits for."),
    ("Running", "At least one container of the pod is running.", "RUNNING",
     "`localrun logs ID -f` follows the log."),
    ("Succeeded", "All containers of the pod ended with exit code 0.", "FINISHED", "No action needed."),
    ("Failed", "A container of the pod ended with a non-zero exit code, or was stopped.", "FAILED, KILLED",
     "`localrun status ID` shows the cause."),
    ("Unknown", "The node does not respond.", "FAILED ENGINE_LOST|RUNNER_TERMINATED",
     "Check that the container engine is running: `docker info`."),
))
_REASONS = make_terms(_SYSTEM, "container reason", (
    ("Waiting|ContainerCreating|PodInitializing", "The container has not started yet.", "PENDING", "Wait."),
    ("Terminated", "The container has ended; see its reason and exit code.",
     "RUNNING outputs, FINISHED, FAILED, KILLED", "Check the exit code: `localrun status ID`."),
    ("Completed", "The container ended with exit code 0.", "FINISHED", "No action needed."),
    ("Error", "The container ended with a non-zero exit code.", "FAILED EXIT_NONZERO|SIGNAL",
     "Read its log: `localrun logs ID`."),
    ("OOMKilled", "The kernel killed the program because it exceeded its memory limit.",
     "FAILED OUT_OF_MEMORY",
     "Raise `configuration.resources.ram` or `--memory`, or process less data at once."),
    ("StartError|RunContainerError|ContainerCannotRun|CreateContainerError", "The image's program could not"
     " be started.", "FAILED ENTRYPOINT_INVALID|IMAGE_PLATFORM",
     "Check ENTRYPOINT, the `#!` line, `chmod +x`, and the platform of the image."),
    ("ErrImagePull", "The image could not be pulled.", "FAILED IMAGE_PULL_FAILED",
     "Try `docker pull IMAGE`, or add the image to the bundle."),
    ("ImagePullBackOff|ErrImageNeverPull|InvalidImageName", "The image is missing and cannot be pulled. The"
     " cluster retries forever, localrun does not.", "FAILED IMAGE_MISSING|IMAGE_PULL_FAILED",
     "Add the image to the bundle, or correct its name."),
    ("CrashLoopBackOff", "A container keeps failing and is restarted with increasing delays. Tasks run only"
     " once, on App Engine and here.", "FAILED EXIT_NONZERO", "Read its log: `localrun logs ID`."),
    ("DeadlineExceeded", "The pod exceeded its time limit.", "FAILED TIMEOUT",
     "Raise `--timeout`; the end of the log shows how far the program got."),
    ("Unschedulable", "No node has enough free resources for the pod.", "QUEUING",
     "Wait, or request less: `localrun status ID` shows the numbers."),
    ("Evicted|Eviction", "The cluster removed the pod to protect its node, usually because of a full disk.",
     "FAILED DISK_PRESSURE|DISK_FULL", "Write less data, or free disk space."),
))
_EVENTS = make_terms(_SYSTEM, "event", (
    ("Scheduled", "The pod was assigned to a node. Here: the task was admitted.", "QUEUED",
     "No action needed."),
    ("FailedScheduling", "No node can run the pod now; the message shows why. On App Engine the run stays"
     " in QUEUING; here a task that can never run is refused at once.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "Request less, stop other tasks, or free disk space: `localrun status ID` shows the numbers."),
    ("Pulling", "The image is being pulled.", "PENDING", "Wait."),
    ("Pulled", "The image is on the machine.", "PENDING", "No action needed."),
    ("Created", "The container was created, but not started.", "PENDING task", "No action needed."),
    ("Started", "The container was started.", "RUNNING task", "No action needed."),
    ("Killing", "The container is being stopped.", "RUNNING KILLED|TIMEOUT|DISK_PRESSURE", "Wait."),
    ("BackOff", "The cluster waits before it retries.", "FAILED IMAGE_PULL_FAILED|EXIT_NONZERO",
     "See the reason next to it; localrun does not retry automatically."),
))
_CONDITIONS = make_terms(_SYSTEM, "condition", (
    ("PodScheduled", "The pod has a node.", "QUEUED", "No action needed."),
    ("Initialized", "The init containers (permissions, inputs) have succeeded.", "PENDING task",
     "No action needed."),
    ("ContainersReady|Ready", "All containers are running; false again after they have ended, which is not"
     " an error.", "RUNNING task", "No action needed."),
)) + make_terms(_SYSTEM, "condition", (
    ("PodReadyToStartContainers", "The network and the sandbox of the pod are set up.", "PENDING",
     "No action needed; containers here need no pod."),
), only=Availability.CLUSTER, why="A pod groups containers in a cluster; here there is only one container.")
_CODES = make_terms(_SYSTEM, "exit code", (
    ("Exit Code 126|126", "A called program is not executable, or is not a program.",
     "FAILED ENTRYPOINT_INVALID|EXIT_NONZERO",
     "Add `RUN chmod +x` to the Dockerfile, and check the `#!` line."),
    ("Exit Code 127|127", "A called program does not exist, or is not in the PATH.",
     "FAILED ENTRYPOINT_INVALID|EXIT_NONZERO", "Install it in the image, or correct its name."),
    ("Exit Code 132|132|SIGILL", "The program used an instruction that this CPU does not support.",
     "FAILED SIGNAL", "Use libraries that are built for this type of CPU."),
    ("Exit Code 134|134|SIGABRT", "The program aborted itself, usually after a failed assertion.",
     "FAILED SIGNAL", "Read the end of its log: `localrun logs ID`."),
    ("Exit Code 137|137|SIGKILL", "The program was killed: by the kernel for lack of memory, because it did"
     " not stop when asked to, or by itself.", "FAILED OUT_OF_MEMORY|TIMEOUT|SIGNAL|ENGINE_LOST, KILLED",
     "`localrun status ID` shows the cause; raise `--memory` or `--timeout`."),
    ("Exit Code 139|139|SIGSEGV", "The program accessed invalid memory: a crash in native code.",
     "FAILED SIGNAL", "Read the end of its log: `localrun logs ID`."),
    ("Exit Code 143|143|SIGTERM", "The program stopped when asked to.",
     "KILLED, FAILED TIMEOUT|SIGNAL|ENGINE_LOST", "`localrun status ID` shows why it was stopped."),
    ("Exec format error", "The program is built for another architecture, or is a script without a `#!`"
     " line.", "FAILED IMAGE_PLATFORM|ENTRYPOINT_INVALID",
     "Build for this machine (`--platform linux/amd64`); start scripts with `#!/bin/sh`."),
))
_SHEET = make_terms(_SYSTEM, "sheet", (
    ("Preemption|Preemption is not helpful for scheduling|No preemption victims found", "Whether evicting"
     " other pods would help; it does not help against a full disk.", "QUEUING",
     "Free disk space, or stop other tasks: `localrun status ID` shows what is short."),
    ("nodes are available", "How many nodes can run the pod, and how many cannot for each reason.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "See the reasons after it; here there is one node: this machine."),
    ("QoS Class|Guaranteed", "A pod whose limits equal its requests is the last to be evicted.",
     "=CPU and memory are fully reserved before a task starts, and are its limits", "No action needed."),
    ("Restart Count|Restarts|RESTARTS", "How often a container was restarted.",
     "=always 0: a task runs once", "No action needed."),
    ("Tolerations|node.kubernetes.io/not-ready|node.kubernetes.io/unreachable", "How long a pod stays on a"
     " node that does not respond.",
     "=`LOCALRUN_ENGINE_PATIENCE`: how many seconds a task waits for a lost engine",
     "Check that the container engine is running: `docker info`."),
    ("Local mode", "Server and nodes share a disk: inputs and outputs are mounted folders.",
     "=inputs and outputs are mounted from the task's folder", "No action needed."),
)) + make_terms(_SYSTEM, "sheet", (
    ("Cluster mode", "Server and nodes share no disk: an extra container downloads the inputs, and"
     " undeclared outputs are refused.", "FAILED OUTPUTS_INVALID",
     "Write only declared outputs into the output folder."),
), only=Availability.CLUSTER, why="On one machine all files are local.")
# fmt: on

TERMS = (*_PODS, *_REASONS, *_EVENTS, *_CONDITIONS, *_CODES, *_SHEET)
