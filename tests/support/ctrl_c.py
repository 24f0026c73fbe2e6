"""Press Ctrl+C while the main thread waits."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _calls(thread_id: int) -> set[str]:
    """Return the names of the functions that a thread executes."""
    frame, found = sys._current_frames().get(thread_id), set()
    while frame is not None:
        found.add(frame.f_code.co_name)
        frame = frame.f_back
    return found


@contextmanager
def pressed_in(function: str, ready: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Send SIGINT once `ready` has returned and the main thread executes a function of this name."""

    def press() -> None:
        ready()
        main = threading.main_thread().ident or 0
        while function not in _calls(main) and not is_left.is_set():
            time.sleep(0.005)
        if not is_left.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    is_left = threading.Event()
    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        is_left.set()
        thread.join()
