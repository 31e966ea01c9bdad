"""Waking streams to clients: they hold no thread while there is nothing to send."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Executor

import structlog
from skbpool._native import Bell

log = structlog.get_logger()

STOP = 0
"""The token that ends the dispatcher's thread."""


class Dispatcher:
    """One thread that sleeps on a bell and has whoever it calls run on `threads`."""

    def __init__(self, threads: Executor):
        self.bell = Bell()
        self._threads = threads
        self._lock = threading.Lock()
        self._tokens = itertools.count(STOP + 1)
        self._jobs: dict[int, Callable[[], None]] = {}
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to listen to the bell."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Jobs that were started run on."""
        self.bell.ring(STOP)
        self._thread.join()

    def token(self) -> int:
        """Return a number by which the bell can call somebody."""
        return next(self._tokens)

    def register(self, token: int, job: Callable[[], None]) -> None:
        """Have `job` run each time the bell calls `token`."""
        with self._lock:
            self._jobs[token] = job

    def unregister(self, token: int) -> None:
        """Ignore further calls of `token`."""
        with self._lock:
            self._jobs.pop(token, None)

    def _run(self) -> None:
        while True:
            token = self.bell.wait(60.0)
            if token == STOP:
                return
            if token is None:
                continue
            with self._lock:
                job = self._jobs.get(token)
            if job is not None:
                self._threads.submit(self._guard, job)

    @staticmethod
    def _guard(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            log.exception("sending to a stream failed")
