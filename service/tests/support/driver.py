"""A client that drives the daemon batch by batch."""

import queue
from typing import Any

import grpc
from daemon_support import PATIENCE, Stubs
from skbpool.v1 import frame_pb2


class Driver:
    """An open Ingest stream that is fed one request at a time."""

    def __init__(self, stubs: Stubs):
        self._queue: queue.Queue[Any] = queue.Queue()
        self.stream = stubs.frame.Ingest(iter(self._queue.get, None), timeout=PATIENCE)
        try:
            self.greeting = next(self.stream)
        except grpc.RpcError:
            self._queue.put(None)
            raise

    def send(self, message: frame_pb2.IngestRequest) -> frame_pb2.IngestResponse:
        """Send a request and return its acknowledgement."""
        self._queue.put(message)
        try:
            return next(self.stream)
        except grpc.RpcError:
            self._queue.put(None)  # grpcio's thread that waits for requests
            raise

    def finish(self) -> None:
        """Close the stream in order."""
        self._queue.put(None)
        assert list(self.stream) == []
