"""The HTTP endpoint /metrics."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from skbpool.addresses import TcpAddress

from skbpool_service.listen import listen_error

log = structlog.get_logger()

MAX_SCRAPES = 8
"""Most connections at a time. For a further one the eldest is closed, if it has had its time."""

SOCKET_TIMEOUT = 5.0
"""Seconds that a client may neither send nor take anything."""

SCRAPE_SECONDS = 1.0
"""Time that a connection has, whoever else wants one."""

_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of the process."""
    # When a series began is not worth a series of its own.
    disable: Callable[[], None] = disable_created_metrics
    disable()
    registry = CollectorRegistry(auto_describe=False)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


_PAGE = b"""<!doctype html>
<title>skbpool</title>
<h1>skbpool</h1>
<p><a href="/metrics">Metrics</a></p>
"""


def _application(registry: CollectorRegistry) -> WSGIApplication:
    """Serve the metrics at /metrics, a page that leads there at /, and nothing elsewhere."""
    metrics: WSGIApplication = make_wsgi_app(registry)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        found = path in ("", "/")
        kind = "text/html; charset=utf-8" if found else "text/plain; charset=utf-8"
        start_response("200 OK" if found else "404 Not Found", [("Content-Type", kind)])
        return [_PAGE if found else b"not found; the metrics are at /metrics\n"]

    return serve


class _Handler(WSGIRequestHandler):
    timeout = SOCKET_TIMEOUT

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a connection, of which there are only so many."""

    daemon_threads = True

    def __init__(self, *arguments: Any):
        self._lock = threading.Lock()
        # Each connection and when it came, the eldest first.
        self._open: dict[socket.socket, float] = {}
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread, or refuse it."""
        with self._lock:
            admitted = self._make_room()
            if admitted:
                self._open[request] = time.monotonic()
        if not admitted:
            try:
                request.send(_BUSY, socket.MSG_DONTWAIT)
            finally:
                self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._forget(request)
            raise

    def _make_room(self) -> bool:
        """Close the eldest connection if there are too many; return whether there is room."""
        if len(self._open) < MAX_SCRAPES:
            return True
        eldest, since = next(iter(self._open.items()))
        if time.monotonic() - since < SCRAPE_SECONDS:
            return False
        del self._open[eldest]
        with contextlib.suppress(OSError):  # it has ended by itself
            eldest.shutdown(socket.SHUT_RDWR)
        return True

    def _forget(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """Log what a client did, or did not do in time."""
        log.debug("scrape failed", client=client_address, exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class Endpoint:
    """Serves a registry over HTTP."""

    def __init__(self, address: TcpAddress, registry: CollectorRegistry):
        """Bind and serve; raise ListenError if the address cannot be used."""
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            family, _, _, _, where = found[0]
            self._server = make_server(
                str(where[0]),
                address.port,
                _application(registry),
                _Server6 if family == socket.AF_INET6 else _Server,
                handler_class=_Handler,
            )
        except OSError as error:
            raise listen_error(address, error) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()
        self.address = TcpAddress(address.host, self._server.server_port)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http://{self.address}/metrics"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
