"""grpc.health.v1: whether the daemon serves.

grpcio's own servicer sends while it holds its lock, so that one client that does not read can stop
everybody's Check. Here a watcher is sent to by a thread of the stream pool, each by itself.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from skbpool_service.refusal import Refusal, stopping
from skbpool_service.rpc.call import Gate, Stream, first, parse
from skbpool_service.rpc.table import MethodTable

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
OVERALL = ""
MAX_REQUEST_BYTES = 4096

Status = health_pb2.HealthCheckResponse
_Value = Any  # of an enum that the stubs of grpcio-health-checking do not type


class HealthService:
    """One status for the daemon and each of its services."""

    def __init__(self, services: list[str], threads: Executor, gate: Gate):
        self._services = {OVERALL, *services}
        self._threads = threads
        self._gate = gate
        self._lock = threading.Lock()
        self._status: _Value = Status.NOT_SERVING
        self._watchers: set[_Watcher] = set()

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(SERVICE, "Check", health_pb2.HealthCheckRequest, self.check)
        table.add_streaming(SERVICE, "Watch", self._gate, self.watch)

    def check(self, request: health_pb2.HealthCheckRequest) -> health_pb2.HealthCheckResponse:
        """Answer Check."""
        if request.service not in self._services:
            text = f"there is no service {request.service[:80]!r} here"
            raise Refusal(grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE", text)
        return Status(status=self._status)

    def watch(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve Watch: returns, and the watcher is sent each change until the stream ends."""
        request = parse(health_pb2.HealthCheckRequest, first(requests, MAX_REQUEST_BYTES))
        known = request.service in self._services
        watcher = _Watcher(stream, known)
        stream.on_end(lambda: self._forget(watcher))
        with self._lock:
            watcher.status = self._status if known else Status.SERVICE_UNKNOWN
            self._watchers.add(watcher)
        watcher.tell()

    def set(self, serving: bool) -> None:
        """Set the status of everything and have watchers told."""
        with self._lock:
            self._status = Status.SERVING if serving else Status.NOT_SERVING
            for watcher in self._watchers:
                if watcher.known:
                    watcher.status = self._status
                self._threads.submit(watcher.tell)

    def stop(self) -> None:
        """Have every watcher told the status that was set last, and then the end."""
        with self._lock:
            for watcher in self._watchers:
                self._threads.submit(watcher.finish)

    def _forget(self, watcher: "_Watcher") -> None:
        with self._lock:
            self._watchers.discard(watcher)


class _Watcher:
    """One Watch stream."""

    def __init__(self, stream: Stream, known: bool):
        self.known = known
        """The service is one of this daemon."""
        self._stream = stream
        self._sending = threading.Lock()
        self._told: _Value | None = None
        self.status: _Value = Status.UNKNOWN

    def tell(self) -> None:
        """Send the status if it is not the one sent last."""
        with self._sending:
            status = self.status
            if status != self._told and self._stream.is_active:
                self._told = status
                response = Status(status=status)
                self._stream.send(response.SerializeToString())

    def finish(self) -> None:
        """Send the status if need be, then the end."""
        self.tell()
        self._stream.end(stopping())
