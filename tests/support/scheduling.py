"""How the tests are distributed over the processes of a parallel session."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

# files whose tests share nothing and take long together
SPLIT = ("tests/docs/test_examples.py", "tests/faults/test_faults.py")


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Runs the tests of a file in one process, except for a few long files."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(SPLIT) else str(super()._split_scope(nodeid))
