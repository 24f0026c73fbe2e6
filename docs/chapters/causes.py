"""The causes, from the table that the program itself shows."""

from __future__ import annotations

from localrun.cli.exit_codes import code_for_cause
from localrun.errors import Cause, Fault
from localrun.task.causes import explain

from chapters.page import Page, anchor

_ACTORS = {
    Fault.USER: "who submits the task",
    Fault.TASK: "the author of the task's program",
    Fault.HOST: "the owner of this machine",
}


def page() -> Page:
    """Every cause: what happened, why it does, and what to do."""
    made = Page(
        "Causes",
        "Why a task ended as it did is one word from this list. It stands in `localrun list`, "
        "`status` and `--json`, and in the answers of the server; `localrun explain CAUSE` shows the "
        "same as here. The words of other systems for them are in [a page of their "
        "own](../words.md#causes).",
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
        made.prose(f"**Why it does:** {said.why}")
        made.prose(f"**What to do:** {said.remedy}")
        made.prose(f"Who has to act: {_ACTORS[cause.fault]}. Exit code: {int(code_for_cause(cause))}.")
    return made
