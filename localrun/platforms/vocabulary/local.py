"""localrun's own terms: states, steps, causes, a warning, and events of `localrun describe`."""

from __future__ import annotations

from localrun.errors import Cause
from localrun.platforms.vocabulary.systems import LOCALRUN
from localrun.platforms.vocabulary.term import Situation, Term, make_terms
from localrun.task.causes import EXPLANATIONS
from localrun.task.states import TaskState

# fmt: off
_STATES = make_terms(LOCALRUN, "state", (
    ("CREATED", "The task exists, but required inputs are missing.", "CREATED",
     "Provide the missing inputs; `localrun status ID` shows the task."),
    ("PROVISIONED", "All required inputs are valid and on disk.", "PROVISIONED",
     "No action needed; it continues automatically."),
    ("QUEUING", "The task waits for free CPUs, memory, GPUs and disk space.", "QUEUING",
     "Wait, or stop another task; `localrun status ID` shows which resource is short, and by how much."),
    ("QUEUED", "The resources of the task are reserved; it starts next.", "QUEUED",
     "No action needed; it continues automatically."),
    ("PENDING", "The task is being prepared: image, folders and container.", "PENDING",
     "Wait; building or pulling an image for the first time takes longer."),
    ("RUNNING", "The container of the task has started; the state lasts until the outputs are collected.",
     "RUNNING", "Wait, follow it with `localrun logs ID -f`, or stop it with `localrun kill ID`."),
    ("FINISHED", "The program ended with exit code 0, and all declared outputs are valid.",
     "FINISHED", "No action needed; `localrun outputs ID` shows the outputs."),
    ("FAILED", "The task ended without valid outputs; see its cause.", "FAILED",
     "Check the cause: `localrun status ID`, then `localrun logs ID`."),
    ("KILLED", "The task was stopped on request.", "KILLED", "Run it again."),
))
_STEPS = make_terms(LOCALRUN, "step", (
    ("permissions", "The first step: the task's folders are made accessible to the user of the image.",
     "PENDING permissions", "No action needed."),
    ("task", "The second step: the program of the bundle runs in its container.", "RUNNING task",
     "Read the log of the program: `localrun logs ID`."),
    ("outputs", "The last step: the outputs are collected and checked against the descriptor.",
     "RUNNING outputs", "`localrun logs ID --step outputs` shows the details."),
))
_WARNINGS = make_terms(LOCALRUN, "warning", (
    ("STALLED|stalled output",
     "The task has written no log and no files for half an hour, and has used almost no CPU time. It may be"
     " stuck, or wait for something. It is still running.", "RUNNING task",
     "Check it with `localrun logs ID` and `localrun top ID`; stop it with `localrun kill ID`, or set"
     " `--timeout`. If this is normal, raise LOCALRUN_STALL (seconds; 0 disables the warning)."),
))
_DESCRIBE = make_terms(LOCALRUN, "event", (
    ("Noted", "A fact about a task that needs no action.",
     "=an event of `localrun describe ID`, and a note of `localrun run`", "No action needed."),
    ("Advice", "A possible error, or something that may not work on other platforms.",
     "=an event of `localrun describe ID`, and a warning of `localrun run`", "Follow it."),
)) + make_terms(LOCALRUN, "container reason", (
    ("NotReached", "The task ended before this step started.",
     "=a line of `localrun describe ID`", "Check the cause: `localrun status ID`."),
))
# fmt: on


def _cause_term(cause: Cause) -> Term:
    found = EXPLANATIONS[cause]
    state = TaskState.KILLED if cause is Cause.KILLED else TaskState.FAILED
    situations = (Situation(state, cause=cause),)
    return Term(LOCALRUN, "cause", str(cause), f"{found.what} {found.why}", situations, found.remedy)


TERMS = (*_STATES, *_STEPS, *map(_cause_term, Cause), *_WARNINGS, *_DESCRIBE)
