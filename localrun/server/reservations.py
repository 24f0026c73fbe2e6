"""What tasks have reserved of this machine, and what it has."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from localrun.admission import Capacity
from localrun.admission.entry import LedgerEntry
from localrun.admission.ledger import Ledger
from localrun.errors import AdmissionError, EngineError

if TYPE_CHECKING:
    from localrun.app import App


def read_capacity(app: App) -> tuple[Capacity | None, Path | None]:
    """Return the capacity of the engine and the folder of its data; None if it does not answer."""
    try:
        return app.runner.admission.capacity, Path(app.engine.info().root)
    except EngineError:
        return None, None


def read_entries(app: App) -> list[LedgerEntry]:
    """Return the tasks that run or wait on this machine, of all folders and users, in their order."""
    ledger = Ledger(app.ledger, lambda _: None)
    found: list[LedgerEntry] = []
    with suppress(AdmissionError):
        found += ledger.read().values()
    with suppress(AdmissionError):
        found += ledger.read_others() if ledger.is_shared else []
    return sorted(found, key=lambda entry: entry.order)
