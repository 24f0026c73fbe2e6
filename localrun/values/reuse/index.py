"""The index of finished tasks by what their results depend on.

HOME/reuse/
  results/FINGERPRINT   the last finished task with this fingerprint, and the state of its outputs
  recent/FAMILY         ids of tasks of one bundle, the newest last, to say what differs
  uses/ID               the last use of a task's result (time of the file), and the batches that used it
  key                   the key for the digests of secrets
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from localrun import fs
from localrun.descriptor import Descriptor
from localrun.errors import LocalrunError
from localrun.task.frozen import decoder
from localrun.undecodable import decode_record, encode_record
from localrun.values.reuse.seal import Seal

_RECENT = 64  # tasks of a bundle among which the most similar one is looked for
_LONGEST = 16 * 1024  # bytes of the list of recent tasks before it is shortened


def family(descriptor: Descriptor) -> str:
    """Return the name of a bundle's tasks in `recent`."""
    return hashlib.sha256(f"{descriptor.namespace}\0{descriptor.name}".encode()).hexdigest()[:32]


class ReuseEntry(msgspec.Struct, frozen=True):
    """A finished task. `sealed_ns` is the time of the entry by the clock of the file system."""

    task: str
    outputs: Seal
    sealed_ns: int = 0


class ReuseIndex:
    """The index in a folder of tasks. An entry whose task was deleted is of no use, and does no harm."""

    def __init__(self, home: Path) -> None:
        self._path = f"{home}/reuse"

    def add(self, fingerprint: str, task: str, outputs: Seal) -> None:
        """Add a finished task. Raises `LocalrunError`."""
        self._write(f"results/{fingerprint}", ReuseEntry(task, outputs))

    def find(self, fingerprint: str) -> ReuseEntry | None:
        return self._read(f"results/{fingerprint}")

    def find_as(self, fingerprint: str, other: str) -> ReuseEntry | None:
        """Return a finished task, and let it be found by its other fingerprint, too."""
        found = self.find(fingerprint)
        if found is not None:
            with suppress(OSError):  # a link, because the time of the entry matters
                os.link(f"{self._path}/results/{fingerprint}", f"{self._path}/results/{other}")
        return found

    # -- similar tasks ---------------------------------------------------------------------------

    def note_recent(self, family: str, task: str) -> None:
        """Add a task to those of its bundle. Raises `OSError`."""
        path = f"{self._path}/recent/{family}"
        try:
            fs.append_line(path, f"{task}\n".encode())
        except FileNotFoundError:
            os.makedirs(f"{self._path}/recent", mode=0o700, exist_ok=True)  # noqa: PTH103 - hot
            fs.append_line(path, f"{task}\n".encode())
        if os.stat(path).st_size > _LONGEST:  # noqa: PTH116 - hot
            with suppress(LocalrunError):
                fs.write_atomic(path, "".join(f"{one}\n" for one in self.recent(family)[::-1]).encode())

    def recent(self, family: str) -> list[str]:
        """Return the last tasks of a bundle, the newest first."""
        try:
            lines = fs.read_regular(f"{self._path}/recent/{family}").decode().split()
        except (OSError, ValueError):
            return []
        return list(dict.fromkeys(reversed(lines)))[:_RECENT]

    # -- uses ------------------------------------------------------------------------------------

    def note_use(self, task: str, batch: str = "") -> None:
        """Note that the result of a task was reused now, by a batch if it is named.

        Errors are ignored: results can be reused in a folder that cannot be written.
        """
        path = f"{self._path}/uses/{task}"
        with suppress(OSError):
            try:
                fs.append_line(path, f"{batch}\n".encode() if batch else b"")
            except FileNotFoundError:
                os.makedirs(f"{self._path}/uses", mode=0o700, exist_ok=True)  # noqa: PTH103 - hot
                fs.append_line(path, f"{batch}\n".encode() if batch else b"")
            now = time.time_ns()  # finer than the file system's own clock, as the ends of tasks
            os.utime(path, ns=(now, now))

    def last_use(self, task: str) -> float:
        """Return when the result of a task was reused last (seconds since 1970); 0.0 if it never was."""
        try:
            return os.stat(f"{self._path}/uses/{task}").st_mtime  # noqa: PTH116 - hot
        except OSError:
            return 0.0

    def used_tasks(self) -> set[str]:
        """Return the tasks whose results were reused."""
        try:
            return set(os.listdir(f"{self._path}/uses"))  # noqa: PTH208 - names
        except OSError:
            return set()

    def batches_of(self, task: str) -> list[str]:
        """Return the batches that reused the result of a task."""
        try:
            return fs.read_regular(f"{self._path}/uses/{task}").decode("utf-8", "replace").split()
        except OSError:
            return []

    def stale(self, exists: Callable[[str], bool]) -> list[Path]:
        """Return the files about tasks that do not exist any more."""
        found = [Path(self._path, "uses", task) for task in self.used_tasks() if not exists(task)]
        with suppress(OSError):
            for name in os.listdir(f"{self._path}/results"):  # noqa: PTH208 - names
                entry = self.find(name)
                if not name.startswith(".") and (entry is None or not exists(entry.task)):
                    found.append(Path(self._path, "results", name))
        return found

    # -- secrets ---------------------------------------------------------------------------------

    def digest_secret(self, value: str) -> str:
        """Return a digest of a secret that says nothing without this folder's key. Raises `OSError`."""
        import hmac

        return f"0x{hmac.digest(self._key(), value.encode('utf-8', 'surrogatepass'), 'sha256').hex()}"

    def _key(self) -> bytes:
        path = Path(self._path, "key")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError), fs.temp_file(path) as temp:
            with open(temp, "wb", opener=fs.private) as stream:
                stream.write(os.urandom(32))
            os.link(temp, path)
        return fs.read_regular(path)

    # -- files -----------------------------------------------------------------------------------

    def _write(self, name: str, entry: ReuseEntry) -> None:
        path, data = f"{self._path}/{name}", encode_record(entry)
        try:
            fs.write_atomic(path, data)
        except LocalrunError:
            with fs.wrap_os_errors(Path(self._path)):
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 - hot
            fs.write_atomic(path, data)

    def _read(self, name: str) -> ReuseEntry | None:
        try:
            with fs.open_regular(f"{self._path}/{name}") as stream:
                found: ReuseEntry = decode_record(decoder(ReuseEntry), stream.read())
                return msgspec.structs.replace(found, sealed_ns=os.fstat(stream.fileno()).st_mtime_ns)
        except (OSError, ValueError, RecursionError):
            return None
