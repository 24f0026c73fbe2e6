"""localrun's own words: states, steps, causes, a warning that is none of them, and lines of a sheet."""

from __future__ import annotations

from localrun.errors import Cause
from localrun.platforms.vocabulary.systems import LOCALRUN
from localrun.platforms.vocabulary.term import Situation, Term, make_terms
from localrun.task.causes import EXPLANATIONS
from localrun.task.states import TaskState

# fmt: off
_STATES = make_terms(LOCALRUN, "state", (
    ("CREATED", "The task is known, and not every required input is there.", "CREATED",
     "Give the inputs that are missing; `localrun status ID` shows the task."),
    ("PROVISIONED", "Every required input is checked and on disk.", "PROVISIONED",
     "Nothing: it goes on by itself."),
    ("QUEUING", "The task waits until its processors, memory, GPUs and disk are free.", "QUEUING",
     "Wait, or end another task; `localrun status ID` says which resource is short, and by how much."),
    ("QUEUED", "What the task asked for is reserved for it; it starts next.", "QUEUED",
     "Nothing: it goes on by itself."),
    ("PENDING", "The task is being prepared: its image, its folders, its container.", "PENDING",
     "Wait: an image that is built or pulled for the first time takes its time."),
    ("RUNNING", "The task's container has started; the state lasts until its outputs are collected.",
     "RUNNING", "Wait, follow it with `localrun logs ID -f`, or stop it with `localrun kill ID`."),
    ("FINISHED", "The program ended with exit code 0, and every declared output is there and valid.",
     "FINISHED", "Nothing: `localrun outputs ID` shows what it gave."),
    ("FAILED", "The task ended without what it should give; its cause says why.", "FAILED",
     "Look at the cause and the hint: `localrun status ID`, then `localrun logs ID`."),
    ("KILLED", "The task was stopped because somebody asked for it.", "KILLED", "Run it again."),
))
_STEPS = make_terms(LOCALRUN, "step", (
    ("permissions", "The first step: the task's folders are opened to whatever user its image has.",
     "PENDING permissions", "Nothing: it needs no action."),
    ("task", "The second step: the bundle's own program runs, in its container.", "RUNNING task",
     "Its log is what the program wrote: `localrun logs ID`."),
    ("outputs", "The last step: what the program wrote is collected and compared with the descriptor.",
     "RUNNING outputs", "`localrun logs ID --step outputs` says how it went."),
))
_WARNINGS = make_terms(LOCALRUN, "warning", (
    ("STALLED|stalled output",
     "The task has written nothing for half an hour (LOCALRUN_STALL, in seconds; 0: never), to its log or to"
     " its files, and has used next to no processor time. It may hang, or wait for something; it goes on.",
     "RUNNING task",
     "See where it stands: `localrun logs ID`, `localrun top ID`; end it with `localrun kill ID`, or give it"
     " a limit with `--timeout`. If it is as it should be, raise LOCALRUN_STALL."),
))
_SHEET = make_terms(LOCALRUN, "event", (
    ("Noted", "Something that a user should know of a task, and need not act on.",
     "=a line of `localrun describe ID`, and a note of `localrun run`", "Nothing."),
    ("Advice", "Something that works here and may not elsewhere, or that looks wrong.",
     "=a line of `localrun describe ID`, and a warning of `localrun run`", "Follow it."),
)) + make_terms(LOCALRUN, "container reason", (
    ("NotReached", "The task ended before this step of it began.",
     "=a line of `localrun describe ID`", "Look at the cause of the end: `localrun status ID`."),
))
# fmt: on


def _of_cause(cause: Cause) -> Term:
    told = EXPLANATIONS[cause]
    end = TaskState.KILLED if cause is Cause.KILLED else TaskState.FAILED
    here = (Situation(end, cause=cause),)
    return Term(LOCALRUN, "cause", str(cause), f"{told.what} {told.why}", here, told.remedy)


TERMS = (*_STATES, *_STEPS, *map(_of_cause, Cause), *_WARNINGS, *_SHEET)
