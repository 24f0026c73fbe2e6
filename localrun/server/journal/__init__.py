"""The journal: append-only logs of events, and the periodic heartbeat with the usage of the machine.

    heartbeat_detailed.jsonl  one JSON object per event
    heartbeat_events.log      one readable line per event
    heartbeat_errors.log      one block per error
    heartbeat_stats.jsonl     frequent events (heartbeats, polls), which would otherwise push
                              errors out of the last hundred lines

Rotated files are called `.1` (the newest), `.2`, ...
"""

from localrun.server.journal.heartbeat import HeartbeatEmitter
from localrun.server.journal.journal import REQUEST_ID, VOLATILE_EVENTS, Journal
from localrun.server.journal.reader import Line
from localrun.server.journal.task_events import TaskEventListener

__all__ = ["REQUEST_ID", "VOLATILE_EVENTS", "HeartbeatEmitter", "Journal", "Line", "TaskEventListener"]
