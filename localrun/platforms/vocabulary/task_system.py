"""The words of the Task System: statuses of tasks, what its answers say, events of its logs."""

from __future__ import annotations

from localrun.platforms.vocabulary.term import make_terms
from localrun.task.states import TaskState

_SYSTEM = "task-system"

STATUSES: dict[TaskState, str] = {
    TaskState.CREATED: "received",
    TaskState.PROVISIONED: "received",
    TaskState.QUEUING: "received",
    TaskState.QUEUED: "received",
    TaskState.PENDING: "processing",
    TaskState.RUNNING: "processing",
    TaskState.FINISHED: "completed",
    TaskState.FAILED: "error",
    TaskState.KILLED: "cancelled",
}

# fmt: off
TERMS = (
    *make_terms(_SYSTEM, "status", (
        ("received", "The task is in the list of active tasks, and nothing of it runs yet.",
         "CREATED, PROVISIONED, QUEUING, QUEUED",
         "Wait; a task without a container stays so until somebody completes it."),
        ("processing", "The task is being worked on.", "PENDING, RUNNING",
         "Wait, or stop it: `localrun kill ID`."),
        ("completed", "The task ended well and is in the list of completed tasks.", "FINISHED",
         "Nothing: `GET /task/{id}` still shows it."),
        ("error", "The task ended badly; its cause says why.", "FAILED",
         "Look at `localrun status ID`; `logs/heartbeat_errors.log` has it too."),
        ("cancelled", "The task was stopped on request.", "KILLED", "Nothing, or create it again."),
    )),
    *make_terms(_SYSTEM, "answer", (
        ("task_created", "The server took the task and gave it an id; a log line of the same name says so.",
         "CREATED, PROVISIONED", "Nothing: ask for it with `GET /task/{id}`."),
        ("operational", "The server's task manager answers, with the counts of its tasks.",
         "=`localrun serve`",
         "Nothing: it is how `GET /task/status` says that all is well."),
        ("alive", "The server answers.", "=`localrun serve`", "Nothing: it is what `GET /heartbeat` says."),
        ("success", "The server did what it was asked; it says nothing about how a task ended.",
         "=exit code 0 of a command",
         "Look at the task's own status."),
        ("422|422 Unprocessable Entity|Unprocessable Entity|Unprocessable Content", "The request does not"
         " have the fields it must have, so that no task was made.", "FAILED INPUTS_INVALID",
         "Send both `task`, an object that may be empty, and `assigned_by`, a text."),
        ("404|404 Not Found|Not Found|Task Not Found in List", "No task has this id. There, one that had"
         " ended or was made before a restart or by another server was lost; here all stay on disk.",
         "=exit code 2, or 404 from `localrun serve`",
         "Compare the id with `localrun list --all`, in the folder of the server."),
        ("500|500 Internal Server Error|Internal Server Error", "The server failed while it worked on the"
         " request.", "FAILED INTERNAL", "Look at `logs/heartbeat_errors.log`, and report it."),
    )),
    *make_terms(_SYSTEM, "event", (
        ("task_requested", "A request for a task came in.", "CREATED", "Nothing: `task_created` follows."),
        ("task_completed", "A task ended well and was moved to the completed ones.", "FINISHED",
         "Nothing: it is the last line of a task that went well."),
        ("task_error", "A task could not be made, or ended badly.", "FAILED",
         "`data.error` in `logs/heartbeat_detailed.jsonl` says what it was."),
    )),
    *make_terms(_SYSTEM, "situation", (
        ("ImportError|Import Error|Server Won't Start", "The server's own modules do not fit together, for"
         " example a name is imported that is not there.", "=an installation that is not sound",
         "Start it with `localrun serve` or `python main.py` in a sound installation."),
        ("Logging Not Working", "No lines come into the log files.", "=exit code 7 of `localrun serve`",
         "The folder is `logs` where the server was started, or LOCALRUN_LOGS; it must be writable."),
        ("Memory Issues|Memory Issues with Large Task Lists", "There, ended tasks are kept in memory for"
         " ever; here only the newest (LOCALRUN_KEEP_COMPLETED), the others on disk.",
         "=nothing to do: memory is bounded",
         "Keep fewer, and delete old ones with `localrun rm`."),
        ("Task System Not Responding|Not Responding", "The server does not answer, or fails at every"
         " request.", "FAILED INTERNAL, FAILED ENGINE_UNREACHABLE",
         "Try `GET /heartbeat`; read `logs/heartbeat_errors.log`; restart it: its tasks go on."),
    )),
)
# fmt: on
