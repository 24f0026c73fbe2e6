"""A TCP port in front of the engine, plain or with TLS, whose connections can be cut."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from localrun.engines.dockerd.address import Address


class Forwarder:
    """Passes bytes both ways between a local port and an engine's socket or port."""

    def __init__(self, engine: Address, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._engine = engine
        self._context = context
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="forwarder", daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                client = self._context.wrap_socket(client, server_side=True) if self._context else client
            except ssl.SSLError:
                continue
            except OSError:
                return
            try:
                engine = self._connect()
            except OSError:
                client.close()
                continue
            self._open += [client, engine]
            for source, sink in ((client, engine), (engine, client)):
                thread = threading.Thread(target=_pump, args=(source, sink), name="forwarder", daemon=True)
                self._threads.append(thread)
                thread.start()
            self.accepted += 1

    def _connect(self) -> socket.socket:
        if self._engine.scheme != "unix":
            return socket.create_connection(self._engine.host_and_port)
        engine = socket.socket(socket.AF_UNIX)
        try:
            engine.connect(self._engine.socket_path)
        except OSError:
            engine.close()
            raise
        return engine

    def cut(self) -> None:
        """Cut all connections, like an engine that stops."""
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop all threads."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._threads[0].join(60)
        self.cut()
        for thread in self._threads:
            thread.join(60)
        for each in self._open:
            each.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
