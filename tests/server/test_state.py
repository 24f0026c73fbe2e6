"""The state of a server and its lifetime."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from localrun.server.state import get_journal
from tests.support.server_client import serve_environment
from tests.support.waiting import until


def test_nothing_of_a_server_stays_in_memory_after_its_end(tmp_path: Path) -> None:
    with serve_environment(tmp_path) as server:
        server.wait(server.run(a=1, b=2))
        left = [weakref.ref(one) for one in (server.site, server.env.app, server.site.journal)]
        assert get_journal(server.env.app) is server.site.journal
    del server

    def is_gone() -> bool:
        gc.collect()
        return not any(one() for one in left)

    until(is_gone)  # its threads may be ending
