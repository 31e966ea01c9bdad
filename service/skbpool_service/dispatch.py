"""Waking streams to clients: they hold no thread while there is nothing to send."""

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

import structlog
from skbpool._native import Bell

log = structlog.get_logger()

STOP = 0
"""The token that ends the dispatcher's thread."""

LOOK = 1
"""The token that has it look at the clock anew."""

PATIENCE = 60.0
"""Seconds that it sleeps where nothing is due."""


class Dispatcher:
    """One thread that sleeps on a bell and has whoever it calls run on `threads`.

    It looks at all times of `call_later` at each call: there is one a stream at most.
    """

    def __init__(self, threads: Executor):
        self.bell = Bell()
        self._threads = threads
        self._lock = threading.Lock()
        self._tokens = itertools.count(LOOK + 1)
        self._jobs: dict[int, Callable[[], None]] = {}
        # When jobs are run whom nobody called until then: one time a token.
        self._due: dict[int, float] = {}
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
            self._due.pop(token, None)

    def call_later(self, token: int, seconds: float) -> None:
        """Have the job of `token` run in `seconds` too, or earlier if that was asked for before."""
        due = time.monotonic() + seconds
        with self._lock:
            if token not in self._jobs or self._due.get(token, due + 1) <= due:
                return
            self._due[token] = due
            is_first = due <= min(self._due.values())
        if is_first:
            self.bell.ring(LOOK)

    def _run(self) -> None:
        while True:
            with self._lock:
                next_due = min(self._due.values(), default=None)
            patience = PATIENCE if next_due is None else next_due - time.monotonic()
            token = self.bell.wait(max(patience, 0.0))
            if token == STOP:
                return
            for job in self._called(token):
                self._threads.submit(self._guard, job)

    def _called(self, token: int | None) -> list[Callable[[], None]]:
        """Return the jobs of `token` and of those who are due."""
        now = time.monotonic()
        with self._lock:
            tokens = [late for late, due in self._due.items() if due <= now]
            for late in tokens:
                del self._due[late]
            if token is not None and token not in tokens:
                tokens.append(token)
            return [job for token in tokens if (job := self._jobs.get(token))]

    @staticmethod
    def _guard(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            log.exception("sending to a stream failed")
