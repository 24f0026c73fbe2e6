"""The stores of apps that tasks are installed from: other servers, each with a name."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import msgspec

from localrun import fs
from localrun.server.appengine.errors import AppEngineError
from localrun.task.frozen import Frozen


class AppStore(Frozen, frozen=True, kw_only=True):
    """A store: its id, its name, the address of its server, and whether tasks are installed from it."""

    id: str
    name: str
    host: str
    is_default: bool = msgspec.field(default=False, name="defaultStore")


class AppStores:
    """The stores, in one file. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def all(self) -> list[AppStore]:
        with self._lock:
            return self._load()

    def add(self, name: Any, host: Any) -> AppStore:
        """Add a store, which is not the default one.

        Raises `AppEngineError` if the name or the host is blank, or both are those of another store.
        """
        if not (isinstance(name, str) and isinstance(host, str) and name.strip() and host.strip()):
            raise AppEngineError(400, "APPE-internal-invalid-store-data", "invalid store data")
        with self._lock:
            stores = self._load()
            if any((store.name, store.host) == (name, host) for store in stores):
                raise AppEngineError(400, "APPE-internal-store-exists", "store already exists")
            store = AppStore(id=str(uuid.uuid4()), name=name, host=host)
            self._save([*stores, store])
        return store

    def remove(self, store_id: str) -> None:
        """Remove a store, if it exists."""
        with self._lock:
            self._save([store for store in self._load() if store.id != store_id])

    def make_default(self, store_id: str) -> bool:
        """Install tasks from this store from now on; return whether there is one of this id."""
        with self._lock:
            stores = self._load()
            is_known = any(store.id == store_id for store in stores)
            if is_known:
                self._save([store.replace(is_default=store.id == store_id) for store in stores])
        return is_known

    def default(self) -> AppStore | None:
        return next((store for store in self.all() if store.is_default), None)

    def _load(self) -> list[AppStore]:
        try:
            return msgspec.json.decode(fs.read_regular(self._path), type=list[AppStore])
        except FileNotFoundError:
            return []

    def _save(self, stores: list[AppStore]) -> None:
        with fs.wrap_os_errors(self._path.parent):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fs.write_atomic(str(self._path), msgspec.json.encode(stores))
