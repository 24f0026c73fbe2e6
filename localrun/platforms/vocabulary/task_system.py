"""The Task System's terms: task statuses, answers of its API, log events, situations of its guide."""

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
        ("received", "The task is in the list of active tasks and does not run yet.",
         "CREATED, PROVISIONED, QUEUING, QUEUED",
         "Wait; a task without a container keeps this status until a client completes it."),
        ("processing", "The task is being processed.", "PENDING, RUNNING",
         "Wait, or stop it: `localrun kill ID`."),
        ("completed", "The task succeeded and is in the list of completed tasks.", "FINISHED",
         "No action needed; `GET /task/{id}` still returns it."),
        ("error", "The task failed; see its cause.", "FAILED",
         "Check `localrun status ID` or `logs/heartbeat_errors.log`."),
        ("cancelled", "The task was stopped on request.", "KILLED", "No action needed, or create it again."),
    )),
    *make_terms(_SYSTEM, "answer", (
        ("task_created", "The server created the task with an id; a log event has the same name.",
         "CREATED, PROVISIONED", "No action needed; get the task with `GET /task/{id}`."),
        ("operational", "The task manager responds, with the numbers of its tasks.", "=`localrun serve`",
         "No action needed; it is the normal answer of `GET /task/status`."),
        ("alive", "The server responds.", "=`localrun serve`",
         "No action needed; it is the normal answer of `GET /heartbeat`."),
        ("success", "The request succeeded; it says nothing about the result of a task.",
         "=exit code 0 of a command", "Check the status of the task."),
        ("422|422 Unprocessable Entity|Unprocessable Entity|Unprocessable Content", "The request lacks"
         " required fields, so no task was created.", "FAILED INPUTS_INVALID",
         "Send both `task`, an object that may be empty, and `assigned_by`, a string."),
        ("404|404 Not Found|Not Found|Task Not Found in List", "No task has this id. The Task System"
         " forgets ended tasks and all tasks on a restart; here all tasks stay on disk.",
         "=exit code 2, or 404 from `localrun serve`",
         "Compare the id with `localrun list --all`, in the folder of the server."),
        ("500|500 Internal Server Error|Internal Server Error", "The server failed to process the request.",
         "FAILED INTERNAL", "Check `logs/heartbeat_errors.log`, and report it."),
    )),
    *make_terms(_SYSTEM, "event", (
        ("task_requested", "A task was requested.", "CREATED", "No action needed; `task_created` follows."),
        ("task_completed", "A task succeeded and moved to the completed tasks.", "FINISHED",
         "No action needed; it is the last event of a successful task."),
        ("task_error", "A task could not be created, or failed.", "FAILED",
         "Check `data.error` in `logs/heartbeat_detailed.jsonl`."),
    )),
    *make_terms(_SYSTEM, "situation", (
        ("ImportError|Import Error|Server Won't Start", "The modules of the server do not match, e.g. an"
         " imported name does not exist.", "=a broken installation",
         "Reinstall it, and start it with `localrun serve` or `python main.py`."),
        ("Logging Not Working", "The log files stay empty.", "=exit code 7 of `localrun serve`",
         "Make the log folder writable: LOCALRUN_LOGS, or `logs` in the server's working directory."),
        ("Memory Issues|Memory Issues with Large Task Lists", "The Task System keeps ended tasks in memory"
         " forever. Here only the newest (LOCALRUN_KEEP_COMPLETED) are in memory, the others on disk.",
         "=nothing to do: memory use is limited",
         "Keep fewer tasks, and delete old ones with `localrun rm`."),
        ("Task System Not Responding|Not Responding", "The server does not respond, or all requests fail.",
         "FAILED INTERNAL, FAILED ENGINE_UNREACHABLE",
         "Try `GET /heartbeat`; read `logs/heartbeat_errors.log`; restart the server, which resumes its"
         " tasks."),
    )),
)
# fmt: on
