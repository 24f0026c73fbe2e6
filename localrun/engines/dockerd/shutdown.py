"""Detection of an engine that is shutting down.

An engine that gets SIGTERM stops listening at once, stops its containers, and ends. Until then it answers on
connections that are already open, so only a new connection shows that it is about to end.
"""

from __future__ import annotations

import json
from contextlib import closing

from localrun.engines.base import Exit, Handle
from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.api import Api
from localrun.engines.dockerd.connections import new_connection
from localrun.engines.dockerd.http import HttpResponse, send_request
from localrun.engines.dockerd.transport import CONNECTION_ERRORS
from localrun.errors import LocalrunError

_EVENT_DELAY = 1.0  # seconds
EXIT_CODES = (137, 143)  # of containers that an engine stops
_ANSWER_TIMEOUT = 15.0  # seconds; a socket of systemd accepts connections for an engine that has ended


def is_stopping(address: Address, *, ask: bool) -> bool:
    """Return whether the engine refuses new connections, or with `ask` does not answer on one."""
    if not ask and (address.scheme == "ssh" or address.certificates):  # connecting takes long
        return False
    connection = new_connection(address)
    try:
        connection.connect()
        if ask:
            connection.sock.settimeout(_ANSWER_TIMEOUT)
            send_request(connection.sock, connection.host, "GET", "/_ping", body=None, headers={})
            HttpResponse(connection.sock)
    except (*CONNECTION_ERRORS, LocalrunError):
        return True
    finally:
        connection.close()
    return False


def was_signalled(api: Api, handle: Handle, exit_: Exit) -> bool:
    """Return whether the engine sent a signal to an ended container, by the events on an open connection.

    If the engine has gone in the meantime, a failed container counts as signalled.
    """
    query = {
        "since": int(exit_.started or 0),
        # the event is written after the signal was sent, and the container may have ended in between
        "until": f"{(exit_.finished or 0) + _EVENT_DELAY:.6f}",
        "filters": json.dumps({"container": [handle], "event": ["kill"]}),
    }
    try:
        with closing(api.open("GET", "/events", query, action="read the engine's events")) as response:
            return any(chunk.strip() for chunk in response.chunks())
    except LocalrunError:
        return exit_.code != 0
