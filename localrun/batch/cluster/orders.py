"""What travels between the client and the nodes: orders, files by digest, and answers.

An order is sealed: the state and the logs of the cluster hold no inputs, options or secrets.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from Crypto.Cipher import AES
from Crypto.Random import get_random_bytes

from localrun.errors import Cause, LocalrunError, Problem
from localrun.manager.request import Request
from localrun.task.file_state import FileState
from localrun.task.process import current_process
from localrun.task.record import InputSource
from localrun.values.parsing import FileValue

KEY_SIZE = 32
_NONCE, _TAG = 16, 16  # bytes


class SentFile(msgspec.Struct, frozen=True):
    """A file of the client: its path there, size in bytes and SHA-256.

    `machine` and `state` identify the file itself, for a worker on the machine of the client.
    """

    path: str
    size: int
    digest: str
    machine: str = ""
    state: FileState | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class SentFolder(msgspec.Struct, frozen=True):
    """A folder of the client: its path there, its files by their path below it, and the digest of these."""

    path: str
    files: dict[str, SentFile]
    digest: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Work(msgspec.Struct, frozen=True):
    """What a node needs to run a row: the request, with sent files in place of paths.

    `image` is the id of the image on the client's engine, and `bundle` the file that contains the image. One
    of the two may be missing: an image without a file is sent once a node asks for it. `sources` are the
    outputs of tasks that inputs are.
    """

    request: Request
    bundle: SentFile | None = None
    image: str = ""
    sources: Mapping[str, InputSource] = msgspec.field(default_factory=dict)


class Order(msgspec.Struct, frozen=True):
    """A row to run: the id of its task, the session of the client, and the sealed `Work`."""

    task_id: str
    session: str
    version: str
    sealed: bytes


class Lacking(msgspec.Struct, frozen=True):
    """The answer of a node that lacks something to run the row: the session, the image, or files."""

    worker: str
    session: bool = False
    image: bool = False
    files: tuple[SentFile, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """An error as data, because exceptions are logged by the cluster."""

    message: str
    cause: str
    remedy: str = ""
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: LocalrunError) -> Failure:
        return cls(error.message, error.cause.name, error.remedy, tuple(map(str, error.problems)))

    def to_error(self) -> LocalrunError:
        problems = [Problem("", text) for text in self.problems]
        return LocalrunError(self.message, remedy=self.remedy, cause=Cause[self.cause], problems=problems)


class Unusable(msgspec.Struct, frozen=True):
    """The answer of a node that cannot run a row; with `lasting` no row, e.g. because its disk is full."""

    worker: str
    failure: Failure
    lasting: bool = True


class Refused(msgspec.Struct, frozen=True):
    """The answer of a node for a row that no node can run, e.g. because of its inputs."""

    failure: Failure


class Ended(msgspec.Struct, frozen=True):
    """The answer for a row whose task has ended: where its folder is.

    A small folder is sent at once, as an `archive` with the SHA-256 `digest`.
    """

    worker: str
    node: str
    archive: bytes = b""
    digest: str = ""


Answer = Lacking | Unusable | Refused | Ended


def seal(key: bytes, work: Work) -> bytes:
    """Encrypt what a node needs to run a row."""
    cipher = AES.new(key, AES.MODE_GCM, nonce=get_random_bytes(_NONCE))
    data, tag = cipher.encrypt_and_digest(pickle.dumps(work))
    return bytes(cipher.nonce) + tag + data


def unseal(key: bytes, sealed: bytes) -> Work:
    """Decrypt what `seal` returned. Raises `ValueError` if it was changed on its way."""
    nonce, tag, data = sealed[:_NONCE], sealed[_NONCE : _NONCE + _TAG], sealed[_NONCE + _TAG :]
    opened = AES.new(key, AES.MODE_GCM, nonce=nonce).decrypt_and_verify(data, tag)
    found = pickle.loads(opened)  # noqa: S301 - authentic: only the client has the key
    assert isinstance(found, Work)
    return found


def machine() -> str:
    """Return a name for this boot of this machine."""
    return current_process().boot.partition("/")[0]


def replace_files(value: Any, replace: Callable[[Any], Any]) -> Any:
    """Return a value of an input with `replace` applied to each path, sent file and sent folder in it."""
    if isinstance(value, FileValue):
        return FileValue(replace(value.path))
    if isinstance(value, Path | SentFile | SentFolder):
        return replace(value)
    if isinstance(value, Mapping):
        return {key: replace_files(item, replace) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_files(item, replace) for item in value]
    return value


def files_in(value: Any) -> list[SentFile]:
    """Return the sent files in a value."""
    found: list[SentFile] = []

    def note(sent: Any) -> Any:
        found.extend(sent.files.values() if isinstance(sent, SentFolder) else [sent])
        return sent

    replace_files(value, note)
    return found
