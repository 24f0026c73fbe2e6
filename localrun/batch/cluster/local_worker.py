"""The preload of the workers of `local:N`, which the client stops.

Ctrl+C in a terminal reaches all processes of the client's group. These workers ignore it, so that they can
stop their tasks and containers when the client asks them to.
"""

from __future__ import annotations

import signal

from distributed import Worker

from localrun.batch.cluster import worker as usual


async def dask_setup(worker: Worker) -> None:
    """Ignore the signals for the client, and prepare the worker."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    await usual.dask_setup(worker)
