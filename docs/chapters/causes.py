"""The causes, from the table that the program itself shows."""

from __future__ import annotations

from localrun.cli.exit_codes import code_for_cause
from localrun.errors import Cause, Fault
from localrun.task.causes import explain

from chapters.page import Page, anchor

_ACTORS = {
    Fault.USER: "the user who submits the task",
    Fault.TASK: "the author of the task's program",
    Fault.HOST: "the owner of this machine",
}


def page() -> Page:
    """Return the page of causes: what happened, why, and what to do."""
    made = Page(
        "Causes",
        "The cause says in one word of this list why a task ended. `localrun list`, `status` and `--json` "
        "and the responses of the server show it, and `localrun explain CAUSE` prints the texts below. "
        "[Another page](../words.md#causes) maps the causes to the terms of other systems.",
    )
    made.table(
        ["cause", "what happened", "exit code"],
        [
            [f"[`{cause}`](#{anchor(str(cause))})", explain(cause).what, str(int(code_for_cause(cause)))]
            for cause in Cause
        ],
    )
    for cause in Cause:
        said = explain(cause)
        made.head(str(cause))
        made.prose(f"**What happened:** {said.what}")
        made.prose(f"**Why:** {said.why}")
        made.prose(f"**What to do:** {said.remedy}")
        made.prose(f"Who can fix it: {_ACTORS[cause.fault]}. Exit code: {int(code_for_cause(cause))}.")
    return made
