"""Acknowledgements of Ingest streams: at once when much is owed, else a moment later, many in one.

To send a response takes a stream longer than to land a small message: it waits until the connection
has taken it. So a fast client is told once for several messages, and a slow one before it notices.
Many fast clients are each as slow as that one, and sending to all of them would keep the daemon
from landing: then the moment is longer, but for those whose messages are small, since they may
wait for each answer.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

log = structlog.get_logger()

DELAY = 0.005
"""Seconds that an acknowledgement is held back at least, unless much is owed."""

LONGEST = 0.1
"""Seconds that it is held back at most, beside what its sending takes."""

RATE = 400
"""How many a second are sent before they are held back for longer. With 64 streams of messages of
1 MiB that saves a fifth of the daemon's processor time."""

LITTLE = 65_536
"""Bytes: a stream that owes fewer is told without regard to how many others are."""

SHARE = 4
"""A stream is told at once when it has used up so many parts in one of its credit."""


class Pace:
    """How long to hold back: `least` seconds, longer while more than `RATE` a second are run."""

    def __init__(self, least: float):
        self._least = least
        self._delay = least
        self._last = 0.0

    def ran(self, jobs: int, now: float) -> None:
        """Take note that so many jobs were run together at the time `now`."""
        self._delay = max(self._least, min(jobs / RATE, LONGEST))
        self._last = now

    def delay(self, now: float) -> float:
        """Return the seconds to hold back what is asked for at the time `now`."""
        return self._delay if now - self._last <= LONGEST else self._least


class Later:
    """A thread that has jobs run on `threads` a moment after they were asked for."""

    def __init__(self, threads: Executor, delay: float = DELAY):
        self._threads = threads
        self._delay = delay
        self._pace = Pace(delay)
        self._changed = threading.Condition()
        self._urgent: list[Callable[[], None]] = []
        self._jobs: list[Callable[[], None]] = []
        self._due = 0.0  # when those of _jobs are run
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="acknowledge", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Jobs that were not started are not."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def submit(self, job: Callable[[], None], urgent: bool = True) -> None:
        """Have `job` run once, after the delay, which many that are not `urgent` make longer."""
        with self._changed:
            if not (self._urgent or self._jobs):
                self._changed.notify()
            if urgent:
                self._urgent.append(job)
                return
            if not self._jobs:
                now = time.monotonic()
                self._due = now + self._pace.delay(now)
            self._jobs.append(job)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._urgent or self._jobs or self._stopped)
                if self._changed.wait_for(lambda: self._stopped, self._delay):
                    return
                jobs, self._urgent = self._urgent, []
                now = time.monotonic()
                if self._jobs and now >= self._due:
                    self._pace.ran(len(self._jobs), now)
                    jobs += self._jobs
                    self._jobs = []
            for job in jobs:
                self._threads.submit(self._guard, job)

    @staticmethod
    def _guard(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            log.exception("acknowledging failed")


class Acknowledgements:
    """What one stream is owed. Its caller holds the stream's lock."""

    def __init__(self, send: Callable[[bytes], bool], credit: int):
        self._send = send
        self._most = credit // SHARE
        self._response = b""
        self._owed = 0
        self.is_awaited = False
        """Whether somebody will come back for what is owed."""

    def add(self, size: int, response: bytes) -> bool:
        """Owe `response` for a message of `size` bytes; return whether the stream is still open."""
        self._response = response
        self._owed += size
        return self.flush() if self._owed >= self._most else True

    @property
    def is_owed(self) -> bool:
        """Whether there is something to tell."""
        return self._owed != 0

    @property
    def is_little_owed(self) -> bool:
        """Whether it stands for so few bytes that its client may be waiting for it."""
        return self._owed < LITTLE

    def flush(self) -> bool:
        """Tell what is owed; return whether the stream is still open."""
        if not self._owed:
            return True
        self._owed = 0
        return self._send(self._response)
