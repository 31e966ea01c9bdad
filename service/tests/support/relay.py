"""A relay between a client and the daemon that can fall silent, as a cable that is pulled."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Passes one TCP connection on; after `cut` nothing goes through, and no end is closed."""

    def __init__(self, address: str):
        self._address = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._cut = threading.Event()
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def address(self) -> str:
        """Where clients connect to."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def cut(self) -> None:
        """Fall silent."""
        self._cut.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            host, _, port = self._address.rpartition(":")
            daemon = socket.create_connection((host, int(port)))
            self._ends = [client, daemon]
            for source, sink in ((client, daemon), (daemon, client)):
                thread = threading.Thread(target=self._pass, args=(source, sink), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not self._cut.is_set():
                    sink.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join()
