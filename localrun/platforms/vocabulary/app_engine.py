"""App Engine's terms: states of a run, situations of its help page, error codes."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "app-engine"

# fmt: off
_STATES = make_terms(_SYSTEM, "run state", (
    ("CREATED", "The run exists, but required inputs are missing.", "CREATED",
     "Provide all required inputs."),
    ("PROVISIONED", "All required inputs are provided and valid.", "PROVISIONED", "Start the run."),
    ("QUEUING", "The run was sent to the cluster. On App Engine it stays in this state until it ends, and"
     " forever if it cannot be scheduled. Here it only means that the task waits.", "QUEUING",
     "`localrun status ID` shows what it waits for; a task that can never run is refused at once."),
    ("QUEUED", "The cluster accepted the run. Here: its resources are reserved.", "QUEUED",
     "No action needed; it continues automatically."),
    ("PENDING", "The pod exists, but has not started. Here: image and folders are being prepared. App Engine"
     " rarely shows this state.", "PENDING", "Wait; large images take time."),
    ("RUNNING", "The program is running. App Engine documents this state but does not set it.", "RUNNING",
     "Wait, or follow the log: `localrun logs ID -f`."),
    ("FINISHED", "The outputs were read and are valid. App Engine ignores the exit code; here it must be 0.",
     "FINISHED", "`localrun outputs ID` shows the outputs."),
    ("FAILED", "An output is invalid, or the run failed otherwise. App Engine cannot cancel runs, so a killed"
     " task is also FAILED in its terms.", "FAILED, KILLED", "`localrun status ID` shows the cause."),
))
_SITUATIONS = make_terms(_SYSTEM, "situation", (
    ("Insufficient resources|Insufficient cpu|Insufficient memory", "No node has the CPUs or the memory that"
     " the task requests (default: 1 cpu and 4Gi).",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE",
     "Request less: `configuration.resources` in the descriptor, or `--cpus`, `--memory`, `--gpus`."),
    ("Stuck in Queuing|Queuing state|stuck", "The run cannot be scheduled for lack of CPUs, memory or disk"
     " space, and App Engine does not report it.", "QUEUING, FAILED DISK_UNAVAILABLE|MEMORY_UNAVAILABLE",
     "`localrun status ID` shows the reason with its numbers."),
    ("Disk pressure|disk-pressure|node.kubernetes.io/disk-pressure|untolerated taint|taint",
     "The disk of the node is more than 90 % full, so no task is started on it.",
     "QUEUING, FAILED DISK_UNAVAILABLE",
     "Free disk space: `df -h`, `localrun rm`, `docker image prune`. LOCALRUN_DISK_LIMIT sets the limit."),
    ("Ephemeral storage|storage", "The task filled the disk of the node, because it had no limit of its own.",
     "FAILED DISK_PRESSURE|DISK_FULL", "Write less data, or free disk space."),
    ("Failed to read file", "An output is missing: the program crashed before writing it, or used another"
     " file name.", "FAILED OUTPUTS_INVALID|DISK_FULL|DISK_PRESSURE",
     "Read the log of the program; name each file exactly like its output."),
    ("File extension|no extension", "Files of inputs and outputs are named exactly like their parameter,"
     " without an extension such as `.png`.", "FAILED OUTPUTS_INVALID",
     "Write `/outputs/image`, not `/outputs/image.png`."),
    ("Provisioning issues|provisioning", "An input was rejected: its value violates its type or a"
     " constraint.", "FAILED INPUTS_INVALID", "Fix the problems that `localrun run` lists."),
    ("Scheduling issues|scheduling", "The task could not be assigned to a node.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "`localrun status ID` shows which resource was short."),
    ("App issues|app", "The program in the image failed.",
     "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY", "Read its log: `localrun logs ID`."),
))
_CONTAINERS = make_terms(_SYSTEM, "container", (
    ("permissions", "The container that makes both folders accessible to any user before the program starts.",
     "PENDING permissions", "No action needed; here it needs no container."),
    ("task", "The container of the program.", "RUNNING task", "Its log: `localrun logs ID`."),
    ("outputs-sending", "The container that waits for the program to finish and sends the outputs.",
     "RUNNING outputs", "No action needed; here the outputs are read in place."),
)) + make_terms(_SYSTEM, "container", (
    ("inputs-sending", "The container that downloads the inputs before the program starts, in cluster mode.",
     "PROVISIONED", "No action needed; here the inputs are on disk before the container is created."),
), only=Availability.CLUSTER, why="Inputs are only sent if server and nodes share no disk.")
_UPLOAD = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-descriptor-extraction-error", "The upload is not a zip, or its descriptor is not YAML.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-schema-validation-error", "The descriptor violates its schema.",
     "FAILED DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-io-schema-validation-error", "One violation of the schema by the descriptor.",
     "FAILED DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-validation-error", "The bundle, its descriptor or its image is invalid; the"
     " message rarely says why.", "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|IMAGE_INVALID"),
    ("APPE-internal-image-extraction-error", "The image could not be extracted from the bundle.",
     "FAILED IMAGE_INVALID"),
    ("APPE-internal-image-validation-error", "The image archive has an unknown format.",
     "FAILED IMAGE_INVALID"),
    ("APPE-internal-bundle-image-validation-error", "The image archive has no manifest.",
     "FAILED IMAGE_INVALID"),
    ("APPE-registry-push-failed", "The image could not be pushed to the server's registry.",
     "FAILED IMAGE_INVALID"),
), remedy="`localrun validate BUNDLE` shows the problem, its location and a fix.")
_VALUES = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-request-validation-error", "A value violates its type or a constraint.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-parameter-not-found", "The task has no parameter with this name.",
     "FAILED INPUTS_INVALID"),
    ("APPE-internal-batch-request-error", "Multiple values are invalid; each is listed.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-not-matching", "Two related arrays have different sizes.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-invalid-dimensions", "An array has too few or too many items.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-invalid-indexes", "The index of an item does not consist of numbers separated by `/`.",
     "FAILED INPUTS_INVALID"),
    ("APPE-storage-storing-input-failed", "An input could not be stored, e.g. null for a file.",
     "FAILED INPUTS_INVALID"),
    ("APPE-internal-task-run-provisions-not-found", "The run was started without all of its inputs.",
     "CREATED"),
    ("APPE-internal-is-blank", "An output is empty or contains only whitespace.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-is-directory", "An output is a folder instead of a file.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-missing-metadata", "The folder of an array has no `array.yml`.",
     "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-missing-output-files", "An output has no file.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-extra-output-files", "An output has more than one file.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-task-run-missing-outputs", "A declared output was not written.",
     "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-task-run-unknown-output", "The output folder contains an undeclared file.",
     "FAILED OUTPUTS_INVALID, FINISHED"),
    ("APPE-internal-task_run-invalid-output-archive", "The archive of outputs could not be read.",
     "FAILED OUTPUTS_INVALID"),
    ("APPE-storage-reading-file-error", "A file of the run does not exist.", "FAILED OUTPUTS_INVALID"),
), remedy="`localrun run` lists all invalid values; `localrun inspect BUNDLE` shows valid ones.")
_SERVER = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-server-error", "The server failed, often because of an unexpected value.",
     "FAILED INTERNAL|ENGINE_FAILED"),
    ("APPE-internal-unknown", "An unknown failure of the server.", "FAILED INTERNAL"),
    ("APPE-internal-task-run-state-error", "The operation is not allowed in the state of the run.",
     "=exit code 2 of a command, or 409 from `localrun serve`"),
    ("APPE-internal-task-exists", "A task with this namespace and version was already uploaded.",
     "=nothing to do: bundles are read in place and not stored"),
    ("APPE-internal-task-not-found", "The task does not exist, or has no inputs.",
     "=a path without a bundle"),
    ("APPE-internal-run-not-found-error", "The run does not exist.",
     "=exit code 2, or 404 from `localrun serve`"),
    ("APPE-internal-logo-not-found", "The task has no logo.", "=nothing to do: logos are not shown"),
    ("APPE-internal-not-multipart", "The upload is not a multipart form.", "FAILED BUNDLE_INVALID"),
), remedy="Check the id and the request; `localrun list` shows the tasks, `localrun status ID` one of them.")
_ELSEWHERE = make_terms(_SYSTEM, "error code", (
    ("APPE-scheduler-unauthenticated-output-provisioning", "Outputs were sent with a wrong secret."),
    ("APPE-appstore-download-failure", "The store did not return the requested task."),
), only=Availability.CLUSTER, why="It concerns transfers to and from a server; here nothing is transferred.",
   remedy="It cannot happen here.")
# fmt: on

TERMS = (*_STATES, *_SITUATIONS, *_CONTAINERS, *_UPLOAD, *_VALUES, *_SERVER, *_ELSEWHERE)
