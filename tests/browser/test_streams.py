"""Live updates over a connection that breaks, and with a token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.browser.conftest import Open
from tests.support.page_server import PageServer, serve_page

HAS_STATE = "(word) => [...document.querySelectorAll('.item .state')].some((one) => one.textContent === word)"


class Cable:
    """A connection to a server that can be cut: streams end, and new ones are refused until it is mended."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._is_cut = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._start(self._accept)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            with self._lock:
                self._pairs.add((client, server))
            self._start(self._pump, client, server)
            self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _close_all(self) -> None:
        for one in self._sockets:
            one.close()

    def cut(self) -> None:
        self._is_cut.set()
        self._drop()

    def mend(self) -> None:
        self._is_cut.clear()

    def _drop(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for one in (one for pair in pairs for one in pair):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop()
        for thread in self._threads:
            thread.join(30)
        self._close_all()


@contextmanager
def cable(server: PageServer) -> Iterator[Cable]:
    made = Cable(int(server.address.rpartition(":")[2]))
    try:
        yield made
    finally:
        made.close()


def test_a_broken_stream_is_resumed_and_misses_nothing(served: PageServer, visit: Open) -> None:
    running = served.cells("wait")
    with cable(served) as line:
        visitor = visit(f"http://127.0.0.1:{line.port}/ui/")
        visitor.until(HAS_STATE, "Running")
        visitor.see("live", selector=".top")
        line.cut()
        visitor.see("reconnecting", selector=".top")
        served.request("POST", f"/task/{running}/kill?grace=0")
        line.mend()
        visitor.until(HAS_STATE, "Killed")
        visitor.see("live", selector=".top")
        visitor.page.context.close()
        visitor.check = lambda: None  # type: ignore[method-assign]


def test_a_new_server_on_the_same_port_is_followed(tmp_path: Path, visit: Open) -> None:
    with serve_page(tmp_path) as first:
        port = int(first.address.rpartition(":")[2])
        first.wait(first.cells())
        visitor = visit(first.url())
        visitor.until(HAS_STATE, "Finished")
        visitor.see("live", selector=".top")
    visitor.see("reconnecting", selector=".top")
    with serve_page(tmp_path, port=port) as second:
        visitor.see("live", selector=".top")
        second.cells("wait")
        visitor.until(HAS_STATE, "Running")


def test_a_server_with_a_token_takes_a_code_once_and_then_the_token(tmp_path: Path, visit: Open) -> None:
    with serve_page(tmp_path, token="secret-token") as server:
        server.wait(server.cells())
        code = server.request("POST", "/session/codes", {})["code"]
        visitor = visit(server.url(f"/ui/#code={code}"))
        visitor.until(HAS_STATE, "Finished")
        assert "code" not in visitor.page.url
        assert "secret-token" not in visitor.page.content()
        visitor.see("live", selector=".top")
        stored = visitor.page.evaluate("[{...sessionStorage}, {...localStorage}, document.cookie]")
        assert stored == [{"localrun.token": "secret-token"}, {}, ""]
        again = visit(server.url(f"/ui/#code={code}"))
        again.see("This server needs a token")
        again.page.get_by_label("Token").fill("wrong")
        again.page.get_by_role("button", name="Continue").click()
        again.see("invalid token")
        assert again.accessibility_violations() == []
        again.page.get_by_label("Token").fill("secret-token")
        again.page.get_by_role("button", name="Continue").click()
        again.until(HAS_STATE, "Finished")


def test_with_a_token_files_are_downloaded_by_a_ticket(tmp_path: Path, visit: Open) -> None:
    with serve_page(tmp_path, token="secret-token") as server:
        task_id = server.cells()
        server.wait(task_id)
        code = server.request("POST", "/session/codes", {})["code"]
        visitor = visit(server.url(f"/ui/task/{task_id}#code={code}"), accept_downloads=True)
        visitor.see("outlines (4)")
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("button", name="Download report").click()
        assert '"cells": 4' in download.value.path().read_text()
        assert not [url for url in visitor.requests if "secret-token" in url]
