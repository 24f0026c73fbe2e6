"""App Engine's own words: states of a run, situations of its help page, error codes."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import Availability, make_terms

_SYSTEM = "app-engine"

# fmt: off
_STATES = make_terms(_SYSTEM, "run state", (
    ("CREATED", "The run is known, and some required input was not given yet.", "CREATED",
     "Give each required input."),
    ("PROVISIONED", "Every required input was given and fits.", "PROVISIONED", "Start the run."),
    ("QUEUING", "The run was handed to the cluster. There it stays so until it ends, and for ever when it"
     " cannot be scheduled; here it means just the waiting.", "QUEUING",
     "Here `localrun status ID` says what it waits for; what can never fit is refused at once."),
    ("QUEUED", "The cluster accepted the run. Here: its resources are reserved.", "QUEUED",
     "Nothing: it goes on by itself."),
    ("PENDING", "The run's pod is known and not started. Here: its image and folders are prepared. The"
     " real server hardly ever shows it.", "PENDING", "Wait: images take their time."),
    ("RUNNING", "The program runs. The real server documents the state and does not set it.", "RUNNING",
     "Wait, or read along: `localrun logs ID -f`."),
    ("FINISHED", "The outputs were read and fit. There this holds whatever the exit code; here only with"
     " exit code 0.", "FINISHED", "`localrun outputs ID` shows what it gave."),
    ("FAILED", "An output did not fit, or the run could not end well. A run cannot be cancelled there, so a"
     " task that was killed here is called so too.", "FAILED, KILLED",
     "`localrun status ID` has the cause."),
))
_SITUATIONS = make_terms(_SYSTEM, "situation", (
    ("Insufficient resources|Insufficient cpu|Insufficient memory", "No node has the processors or the"
     " memory that the task asks for (1 cpu and 4Gi unless the descriptor says otherwise).",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE",
     "Ask for less: `configuration.resources` in the descriptor, or `--cpus`, `--memory`, `--gpus`."),
    ("Stuck in Queuing|Queuing state|stuck", "The run could not be scheduled, for want of processors,"
     " memory or disk, and the server tells nobody.", "QUEUING, FAILED DISK_UNAVAILABLE|MEMORY_UNAVAILABLE",
     "Here the reason is shown with its numbers: `localrun status ID`."),
    ("Disk pressure|disk-pressure|node.kubernetes.io/disk-pressure|untolerated taint|taint",
     "The disk of the node is more than 90 % full, so that no task is started on it.",
     "QUEUING, FAILED DISK_UNAVAILABLE",
     "Free some room: `df -h`, `localrun rm`, `docker image prune`; the limit is LOCALRUN_DISK_LIMIT."),
    ("Ephemeral storage|storage", "The task wrote all the room of the node's disk full; it had no limit of"
     " its own.", "FAILED DISK_PRESSURE|DISK_FULL", "Let the task write less, or free some room."),
    ("Failed to read file", "An output was not there when it was to be read: the program crashed before it"
     " wrote it, or gave it another name.", "FAILED OUTPUTS_INVALID|DISK_FULL|DISK_PRESSURE",
     "Read the program's log; name each file as its output, letter by letter."),
    ("File extension|no extension", "Inputs and outputs are files named exactly as their parameter, without"
     " an ending such as `.png`.", "FAILED OUTPUTS_INVALID",
     "Write `/outputs/image`, not `/outputs/image.png`."),
    ("Provisioning issues|provisioning", "An input could not be given: its value breaks its type or a"
     " constraint.", "FAILED INPUTS_INVALID", "Correct what `localrun run` lists, all of it at once."),
    ("Scheduling issues|scheduling", "The task was not placed on a node.",
     "QUEUING, FAILED CPU_UNAVAILABLE|MEMORY_UNAVAILABLE|GPU_UNAVAILABLE|DISK_UNAVAILABLE",
     "`localrun status ID` says which resource was short."),
    ("App issues|app", "The program in the image failed by itself.",
     "FAILED EXIT_NONZERO|SIGNAL|OUT_OF_MEMORY", "Read what it wrote: `localrun logs ID`."),
))
_CONTAINERS = make_terms(_SYSTEM, "container", (
    ("permissions", "The container that opens both folders to any user before the program starts.",
     "PENDING permissions", "Nothing: here the host does it, without a container."),
    ("task", "The container of the program itself.", "RUNNING task", "Its log: `localrun logs ID`."),
    ("outputs-sending", "The container that waits for the program's end and hands the outputs over.",
     "RUNNING outputs", "Nothing: here they are read where they are."),
)) + make_terms(_SYSTEM, "container", (
    ("inputs-sending", "The container that fetches the inputs before the program starts, in cluster mode.",
     "PROVISIONED", "Nothing: here the inputs are on disk before the container is made."),
), only=Availability.CLUSTER,
   why="Only where server and nodes share no disk must inputs travel.")
_UPLOAD = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-descriptor-extraction-error", "The upload is no zip, or its descriptor is no YAML.",
     "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-schema-validation-error", "The descriptor breaks its schema.",
     "FAILED DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-io-schema-validation-error", "One of the places where the descriptor breaks its"
     " schema.", "FAILED DESCRIPTOR_INVALID"),
    ("APPE-internal-bundle-validation-error", "The bundle, its descriptor or its image could not be used;"
     " the text hardly says why.", "FAILED BUNDLE_INVALID|DESCRIPTOR_INVALID|IMAGE_INVALID"),
    ("APPE-internal-image-extraction-error", "The image could not be taken out of the bundle.",
     "FAILED IMAGE_INVALID"),
    ("APPE-internal-image-validation-error", "The image archive is of no known form.",
     "FAILED IMAGE_INVALID"),
    ("APPE-internal-bundle-image-validation-error", "The image archive has no manifest.",
     "FAILED IMAGE_INVALID"),
    ("APPE-registry-push-failed", "The image could not be put into the server's registry.",
     "FAILED IMAGE_INVALID"),
), remedy="`localrun validate BUNDLE` finds it, with its place and what to do.")
_VALUES = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-request-validation-error", "A value breaks its type or a constraint.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-parameter-not-found", "The task has no parameter of this name.", "FAILED INPUTS_INVALID"),
    ("APPE-internal-batch-request-error", "Several values are wrong; each is listed.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-not-matching", "Two arrays that belong together have different sizes.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-invalid-dimensions", "An array has too few or too many items.",
     "FAILED INPUTS_INVALID|OUTPUTS_INVALID"),
    ("APPE-internal-invalid-indexes", "The place of an item is not written as numbers with `/` between.",
     "FAILED INPUTS_INVALID"),
    ("APPE-storage-storing-input-failed", "An input could not be stored, for example a null for a file.",
     "FAILED INPUTS_INVALID"),
    ("APPE-internal-task-run-provisions-not-found", "The run was to start without all of its inputs.",
     "CREATED"),
    ("APPE-internal-is-blank", "An output is empty, or has nothing but blanks.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-is-directory", "An output is a folder where a file should be.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-missing-metadata", "A folder of an array has no `array.yml`.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-missing-output-files", "An output has no file.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-extra-output-files", "An output has more than one file.", "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-task-run-missing-outputs", "A declared output was not written.",
     "FAILED OUTPUTS_INVALID"),
    ("APPE-internal-task-run-unknown-output", "The output folder holds what no output declares.",
     "FAILED OUTPUTS_INVALID, FINISHED"),
    ("APPE-internal-task_run-invalid-output-archive", "The archive of outputs could not be read.",
     "FAILED OUTPUTS_INVALID"),
    ("APPE-storage-reading-file-error", "A file of the run is not there.", "FAILED OUTPUTS_INVALID"),
), remedy="`localrun run` lists every value that does not fit; `localrun inspect BUNDLE` shows what does.")
_SERVER = make_terms(_SYSTEM, "error code", (
    ("APPE-internal-server-error", "The server itself failed; often it met a value it did not expect.",
     "FAILED INTERNAL|ENGINE_FAILED"),
    ("APPE-internal-unknown", "Something failed, and the server does not know what.", "FAILED INTERNAL"),
    ("APPE-internal-task-run-state-error", "The run is in a state in which this cannot be done.",
     "=a refusal with exit code 2, or 409 from `localrun serve`"),
    ("APPE-internal-task-exists", "A task of this namespace and version was uploaded before.",
     "=nothing to do: bundles are read where they are, and never stored"),
    ("APPE-internal-task-not-found", "There is no such task, or it has no inputs.",
     "=a path that holds no bundle"),
    ("APPE-internal-run-not-found-error", "There is no such run.",
     "=exit code 2, or 404 from `localrun serve`"),
    ("APPE-internal-logo-not-found", "The task has no logo.", "=nothing to do: logos are not shown"),
    ("APPE-internal-not-multipart", "The upload is not sent as a form with files.", "FAILED BUNDLE_INVALID"),
), remedy="Compare the id and the request; `localrun list` shows the tasks here, `localrun status ID` one.")
_ELSEWHERE = make_terms(_SYSTEM, "error code", (
    ("APPE-scheduler-unauthenticated-output-provisioning", "Outputs were handed in with a wrong secret."),
    ("APPE-appstore-download-failure", "The store did not give the task that was asked for."),
), only=Availability.CLUSTER,
   why="It is about a server that others send to and fetch from; here nothing travels.",
   remedy="It cannot happen here.")
# fmt: on

TERMS = (*_STATES, *_SITUATIONS, *_CONTAINERS, *_UPLOAD, *_VALUES, *_SERVER, *_ELSEWHERE)
