"""Calls that were opened and do not send their request.

A handler waits for the request on a thread. Without an end to that, as many such calls as there are
threads would keep everybody else out.
"""

import itertools
import threading
import time
from collections.abc import Iterator

import grpc

from skbpool_service.rpc.workers import Workers

LOOK_SECONDS = 0.5
"""How often laggards are looked for."""

CROWDED_SECONDS = 0.1
"""What a call has to send its request while others wait for a thread. A client that sends header
and request together needs none of it."""


class Laggards:
    """Cancels calls whose first message does not come in time.

    `workers`: the threads they wait on; while these are crowded, the time is short.
    """

    def __init__(self, seconds: float, workers: Workers | None = None):
        self._seconds = seconds
        self._workers = workers
        self._numbers = itertools.count()
        # In the order of their coming, hence nearly of their deadlines.
        self._waiting: dict[int, tuple[float, grpc.ServicerContext]] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="laggards", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._workers:
            self._workers.on_crowd = self._wake.set
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def first(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes | None:
        """Return the first of `requests`, and cancel the call if it does not come in time."""
        number = next(self._numbers)
        # One step of the interpreter each, so nobody needs a lock.
        self._waiting[number] = (time.monotonic(), context)
        try:
            return next(requests, None)
        finally:
            del self._waiting[number]

    def watch(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Return `requests`, and cancel the call if the first one does not come in time."""
        message = self.first(requests, context)
        if message is not None:
            yield message
            yield from requests

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._workers and self._workers.is_crowded:
                self._cancel(min(CROWDED_SECONDS, self._seconds))
                self._stop.wait(CROWDED_SECONDS / 2)
            else:
                self._cancel(self._seconds)
                self._wake.wait(LOOK_SECONDS)
                self._wake.clear()

    def _cancel(self, seconds: float) -> None:
        """End the calls that have waited for longer than `seconds`."""
        begin = time.monotonic() - seconds
        # A copy is made in one step of the interpreter.
        for since, context in list(self._waiting.values()):
            if since > begin:
                break
            context.cancel()
