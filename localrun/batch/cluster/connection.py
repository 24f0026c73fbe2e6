"""The connection of a client to a cluster: its workers, their versions, and messages to them."""

from __future__ import annotations

import asyncio
import logging
import pickle
import pkgutil
import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any, TypeVar

from distributed import Client, LocalCluster

from localrun._version import __version__
from localrun.batch.cluster import worker
from localrun.batch.cluster.node import NodeFacts, new_session
from localrun.batch.cluster.orders import KEY_SIZE, Failure, SentFile
from localrun.errors import Cause, InputsError, LocalrunError, Problem, UsageError

_DISTRIBUTED = version("distributed")
_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx", "inproc")  # of Dask
_SILENT = logging.CRITICAL + 1
_CONNECT_TIMEOUT = 10.0  # seconds
_HANDSHAKE = 5.0  # seconds, after the connection
_DIRECT_TIMEOUT = 5.0  # seconds
_PATIENCE = 600.0  # seconds to wait for a scheduler that is gone
_PAUSE = 1.0  # seconds between two attempts
_LOOK = 2.0  # seconds between two looks at what runs
_CHUNK = 4 * 1024**2  # bytes of a file in one message
_SOURCES = {  # what must be the same everywhere -> where Python finds it
    "localrun": "localrun._version:__version__",
    "distributed": "distributed:__version__",
}

Notify = Callable[[str], None]
Result = TypeVar("Result")


class ConnectionLost(Exception):
    """A worker or the scheduler does not answer any more."""


def parse_address(address: str) -> int:
    """Return N of `local:N`, and 0 for the address of a scheduler. Raises `UsageError`."""
    kind, _, rest = address.partition(":")
    if kind == "local":
        if rest.isascii() and rest.isdigit() and 1 <= int(rest) <= 1024:
            return int(rest)
        remedy = "write the number of workers, e.g. local:2"
        raise UsageError(f"invalid cluster address {address!r}", remedy=remedy)
    scheme, separator, host = address.partition("://")
    if not separator or not host or scheme not in _SCHEMES:
        remedy = "write tcp://HOST:PORT, tls://HOST:PORT, or local:N"
        raise UsageError(f"invalid cluster address {address!r}", remedy=remedy)
    return 0


class ClusterConnection:
    """A cluster and its usable workers. All methods run in one event loop.

    `environment` are the variables of the workers of `local:N`. `notify` receives what a user should know.
    A worker is usable if it has the paths `mounts`, too.
    """

    def __init__(
        self, address: str, environment: dict[str, str], notify: Notify, mounts: tuple[str, ...] = ()
    ) -> None:
        self.address = address
        self.session = new_session()
        self.key = _new_key()
        self.nodes: dict[str, NodeFacts] = {}  # by the address of the worker
        self.ended: dict[str, str] = {}  # task -> a worker that has its result
        self.running: dict[str, int] = {}  # name of a node -> rows of this client that run there
        self._local = parse_address(address)
        self._environment = environment
        self.notify = notify
        self._mounts = mounts
        self._client: Any = None
        self._cluster: Any = None
        self._changed = asyncio.Event()
        self._lock = asyncio.Lock()
        self._indirect: set[str] = set()  # workers that are reached through the scheduler only
        self._refused: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def client(self) -> Any:
        return self._client

    async def connect(self, *, strict: bool = True) -> None:
        """Connect, and prepare the workers. Raises `LocalrunError`, with `strict` also for a bad worker."""
        for name in ("distributed", "distributed.client"):  # what concerns the user is a note or an error
            logging.getLogger(name).setLevel(_SILENT)
        if self._local and self._cluster is None:
            self._cluster = await LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=self._local,
                threads_per_worker=1,
                asynchronous=True,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
                env=self._environment,
                preload=["localrun.batch.cluster.local_worker"],
                silence_logs=_SILENT,
            )
        try:
            client = Client(  # type: ignore[no-untyped-call]
                self._cluster or self.address,
                asynchronous=True,
                timeout=_CONNECT_TIMEOUT,
                set_as_default=False,
                name="localrun",
            )
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT + _HANDSHAKE):  # what answers may be no scheduler
                    self._client = await client
            except BaseException:
                await _quietly(client.close(timeout=_PAUSE))  # type: ignore[no-untyped-call]
                raise
            self._client.subscribe_topic("all", self._on_event)
            await self._set_up(list(await self._client.nthreads()), strict=strict)
        except (OSError, ValueError, TypeError) as error:
            raise unreachable(self.address, error) from error
        if not self.nodes:
            self.notify(
                f"the cluster {self.address} has no workers yet; start one: `dask worker {self.address}`"
            )

    # -- workers ---------------------------------------------------------------------------------

    async def _set_up(self, workers: list[str], *, strict: bool) -> None:
        """Make workers usable. With `strict`, raise `LocalrunError` if one cannot be used."""
        if not workers:
            return
        names = await self._names(workers)
        problems = await self._other_versions(names)
        remedy = f"install localrun-tasks[cluster] {__version__} and distributed {_DISTRIBUTED} there"
        good = [address for address in workers if address not in problems]
        facts = await self._client.run(worker.install, workers=good, on_error="return") if good else {}
        for address, found in facts.items():
            if not isinstance(found, NodeFacts):
                problems[address] = Problem(names[address], f"cannot be prepared: {found}", "see its log")
                continue
            try:
                self.ended.update(dict.fromkeys(await self._open(address), address))
                self.nodes[address] = found
                if found.problem:
                    self.notify(f"{names[address]} cannot run rows: {found.problem}")
            except ConnectionLost as error:
                problems[address] = Problem(names[address], str(error), "see its log")
            except LocalrunError as error:
                problems[address] = Problem(names[address], error.message, error.remedy)
                remedy = "fix the problems listed"
        self._refused |= problems.keys()
        if problems and strict:
            raise LocalrunError(
                f"{len(problems)} of {len(workers)} workers of {self.address} cannot run rows",
                remedy=remedy,
                cause=Cause.ENGINE_UNREACHABLE,
                problems=sorted(problems.values(), key=lambda problem: problem.path),
            )
        for problem in problems.values():
            self.notify(f"a new worker is not used: {problem}")
        self._announce_change()

    async def _names(self, workers: list[str]) -> dict[str, str]:
        """Return e.g. `worker node1 (tcp://10.0.0.2:40001)` for each address."""
        known = (await self._client.scheduler.identity())["workers"]
        named = {address: known.get(address, {}).get("name", address) for address in workers}
        return {
            address: f"worker {address if name == address else f'{name} ({address})'}"
            for address, name in named.items()
        }

    async def _other_versions(self, names: Mapping[str, str]) -> dict[str, Problem]:
        """Return a problem for each of these workers whose versions differ from those of the client."""
        workers = list(names)
        own = {"localrun": __version__, "distributed": _DISTRIBUTED}
        found = {
            name: await self._client.run(pkgutil.resolve_name, source, workers=workers, on_error="return")
            for name, source in _SOURCES.items()
        }
        own["Python"] = _minor(platform.python_version())
        found["Python"] = await self._client.run(platform.python_version, workers=workers, on_error="return")
        problems = {}
        for address in workers:
            wrong = []
            for name, expected in own.items():
                theirs = found[name].get(address)
                if name == "Python" and isinstance(theirs, str):
                    theirs = _minor(theirs)
                if theirs != expected:
                    shown = theirs if isinstance(theirs, str) else "is not installed"
                    wrong.append(f"{name} {shown}, the client has {expected}")
            if wrong:
                problems[address] = Problem(names[address], "; ".join(wrong))
        return problems

    async def _open(self, address: str) -> tuple[str, ...]:
        found: tuple[str, ...] = await self.call(address, "open", self.session, self.key, self._mounts)
        return found

    async def reopen(self, address: str) -> None:
        """Open the session on a worker again."""
        await self._open(address)

    def _on_event(self, event: tuple[float, Any]) -> None:
        message = event[1]
        if not isinstance(message, dict):
            return
        address = message.get("worker")
        if message.get("action") == "add-worker" and isinstance(address, str):
            task = asyncio.ensure_future(self._add(address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif message.get("action") == "remove-worker" and isinstance(address, str):
            self.nodes.pop(address, None)
            self._refused.discard(address)
            self._announce_change()

    async def _add(self, address: str) -> None:
        try:
            if address not in self.nodes:
                await self._set_up([address], strict=False)
        except (OSError, ValueError, LocalrunError, ConnectionLost):
            self._refused.add(address)

    def _announce_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def unless(self, condition: Callable[[], bool], work: Awaitable[Result]) -> Result:
        """Return the result of `work`. Raises `ConnectionLost` if the condition becomes true before that.

        The condition is checked now, and whenever a worker comes or goes.
        """
        waiting = asyncio.ensure_future(work)
        try:
            while not condition():
                change = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({waiting, change}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if waiting.done():
                    return waiting.result()
            raise ConnectionLost("the worker is gone")
        finally:
            waiting.cancel()

    def allowed(self, avoid: set[str]) -> list[str] | None:
        """Return the workers that may run a row; None: all of the cluster."""
        if not avoid and not self._refused:
            return None
        return [address for address in self.nodes if address not in avoid]

    def watch(self) -> None:
        """Keep `running` up to date until the end."""
        self._tasks.add(asyncio.ensure_future(self._watch()))

    async def _watch(self) -> None:
        known: dict[str, int] = {}  # by address; a busy worker may not answer in time
        while True:
            await asyncio.sleep(_LOOK)
            nodes = list(self.nodes.items())
            calls = (
                asyncio.wait_for(self.call(address, "running", self.session), _DIRECT_TIMEOUT)
                for address, _ in nodes
            )
            counts = await asyncio.gather(*calls, return_exceptions=True)
            found: Counter[str] = Counter()
            for (address, node), count in zip(nodes, counts, strict=True):
                if isinstance(count, int):
                    known[address] = count
                found[node.name] += known.get(address, 0)
            self.running = dict(+found)

    # -- messages --------------------------------------------------------------------------------

    async def call(self, address: str, call: str, *arguments: Any) -> Any:
        """Call a method of a node. Raises its `LocalrunError`, or `ConnectionLost`."""
        data = pickle.dumps(arguments)
        is_new = call == "open"
        try:
            sending = self._send(address, call, data)
            answer = await self.unless(lambda: not is_new and address not in self.nodes, sending)
            result = pickle.loads(answer)  # noqa: S301 - as all of the cluster
        except (OSError, EOFError, TypeError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ConnectionLost(f"worker {address} does not answer: {error}") from error
        if isinstance(result, Failure):
            raise result.to_error()
        return result

    async def _send(self, address: str, call: str, data: bytes) -> bytes:
        message = {"call": call, "arguments": data}
        if address not in self._indirect:
            try:
                async with asyncio.timeout(_DIRECT_TIMEOUT if call == "open" else None):
                    return bytes(await getattr(self._client.rpc(address), worker.OPERATION)(**message))
            except OSError:  # it is behind a firewall, perhaps
                self._indirect.add(address)
        found = await self._client.scheduler.broadcast(
            msg={"op": worker.OPERATION, **message}, workers=[address]
        )
        return bytes(found[address])

    async def send_file(self, address: str, sent: SentFile) -> None:
        """Send a file to the node of a worker in parts. Raises as `call`, and `InputsError`."""
        offset = await self.call(address, "write", sent, 0, b"")  # another row may have sent it
        while offset < sent.size:
            try:
                data = await asyncio.to_thread(_read, sent.path, offset)
            except OSError as error:
                raise InputsError(
                    f"cannot read {sent.path}: {error.strerror}", remedy="restore it, and resume the batch"
                ) from error
            if not data:
                message = f"{sent.path} became shorter while it was sent"
                raise LocalrunError(message, remedy="resume the batch")
            offset = await self.call(address, "write", sent, offset, data)

    # -- the end ---------------------------------------------------------------------------------

    async def restore(self, lost: Any) -> None:
        """Connect again after the connection of the client `lost` is gone. Raises `LocalrunError`."""
        async with self._lock:
            if self._client is not lost:
                return
            self.notify(f"lost the scheduler {self.address}; waiting for it")
            self.nodes.clear()
            self._refused.clear()
            deadline = asyncio.get_running_loop().time() + _PATIENCE
            while True:
                await _quietly(self._client.close(timeout=_PAUSE))
                try:
                    await self.connect(strict=False)
                    return
                except LocalrunError as error:
                    if asyncio.get_running_loop().time() > deadline:
                        raise error from None
                await asyncio.sleep(_PAUSE)

    async def end_session(self, grace: float | None) -> None:
        """Stop what runs for this client on all nodes, and wait until nothing of it remains."""
        calls = [self.call(address, "close", self.session, grace) for address in self.nodes]
        await asyncio.gather(*calls, return_exceptions=True)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        if self._client is not None:
            with suppress(ValueError):  # it is not subscribed
                self._client.unsubscribe_topic("all")
            await _quietly(self._client.close(timeout=_CONNECT_TIMEOUT))
        if self._cluster is not None:
            await _quietly(self._cluster.close())


async def _quietly(closing: Any) -> None:
    try:
        await closing
    except (TimeoutError, OSError, RuntimeError):
        return


def _read(path: str, offset: int) -> bytes:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - may be no text
        stream.seek(offset)
        return stream.read(_CHUNK)


def _new_key() -> bytes:
    from Crypto.Random import get_random_bytes

    return get_random_bytes(KEY_SIZE)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def unreachable(address: str, error: Exception) -> LocalrunError:
    causes: list[BaseException] = []  # the first one is the last in the list; Dask tries until the timeout
    found: BaseException | None = error
    while found is not None and found not in causes:
        causes.append(found)
        found = found.__cause__ or found.__context__
    known = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    texts = ["", *filter(None, known or map(str, causes))]
    reason = texts[-1].strip().partition("\n")[0]
    return LocalrunError(
        f"cannot connect to the cluster {address}" + (f": {reason}" if reason else ""),
        remedy=f"start a scheduler: `dask scheduler`, and a worker: `dask worker {address}`",
        cause=Cause.ENGINE_UNREACHABLE,
    )
