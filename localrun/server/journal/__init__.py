"""The journal: append-only logs of what happened, and the heartbeat that says what the machine does.

    heartbeat_detailed.jsonl  one JSON object per event
    heartbeat_events.log      one line per event, for people
    heartbeat_errors.log      one block per error
    heartbeat_stats.jsonl     what comes again and again (heartbeats, polls): elsewhere it would push
                              errors out of the last hundred lines

Old ones are kept beside them as `.1` (the newest), `.2`, ...
"""

from localrun.server.journal.heartbeat import HeartbeatEmitter
from localrun.server.journal.journal import REQUEST_ID, VOLATILE_EVENTS, Journal
from localrun.server.journal.reader import Line
from localrun.server.journal.task_events import TaskEventListener

__all__ = ["REQUEST_ID", "VOLATILE_EVENTS", "HeartbeatEmitter", "Journal", "Line", "TaskEventListener"]
