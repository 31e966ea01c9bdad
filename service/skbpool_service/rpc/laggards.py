"""Calls that were opened and do not send their request.

A handler waits for the request on a thread. Without an end to that, as many such calls as there are
threads would keep everybody else out.
"""

import itertools
import threading
import time
from collections.abc import Iterator

import grpc

LOOK_SECONDS = 0.5
"""How often laggards are looked for."""


class Laggards:
    """Cancels calls whose first message does not come in time."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        # In the order of their coming, hence of their deadlines.
        self._waiting: dict[int, tuple[float, grpc.ServicerContext]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="laggards", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def watch(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Return `requests`, and cancel the call if the first one does not come in time."""
        number = next(self._numbers)
        with self._lock:
            self._waiting[number] = (time.monotonic() + self._seconds, context)
        try:
            message = next(requests, None)
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if message is not None:
            yield message
            yield from requests

    def _run(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            now = time.monotonic()
            late = []
            with self._lock:
                for deadline, context in self._waiting.values():
                    if deadline > now:
                        break
                    late.append(context)
            for context in late:
                context.cancel()
