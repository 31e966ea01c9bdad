"""Calls that wait until a pool has buffers for them: few at a time, in the order of their coming.

A waiting call holds a thread of those that answer unary calls. So there may be so many, of each
session a few, and never more than half of these threads. Only the first of a line looks whether
there are buffers; who comes while there is a line goes to its end.
"""

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol, TypeVar

import grpc
import skbpool

from skbpool_service.refusal import Refusal, over_limit, stopping

LOOK_SECONDS = 0.005
"""How often the first of a line looks again. What comes home by a lease call is noticed at once."""

NONE_LEFT = (skbpool.PoolTooSmall, skbpool.PoolExhausted)
"""What an attempt fails with that may succeed later."""

T = TypeVar("T")


class Client(Protocol):
    """The client of a call, as grpcio tells of it."""

    def is_active(self) -> bool:
        """Whether it still waits for the answer."""

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when it does no longer; return False if that is so already."""


class Waiting:
    """The lines of waiting calls, one a pool."""

    def __init__(self, limit: int, limit_each: int):
        self._limit = limit
        self._limit_each = limit_each
        self._changed = threading.Condition()
        self._lines: dict[str, deque[object]] = {}
        self._inside = 0
        self._inside_of: Counter[int] = Counter()
        self._stopping = False

    @property
    def inside(self) -> int:
        """How many calls wait."""
        return self._inside

    def look(self) -> None:
        """Have those who wait look whether there is something for them."""
        if self._inside:
            with self._changed:
                self._changed.notify_all()

    def stop(self) -> None:
        """End every wait, since the daemon stops."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wait(
        self,
        pool: str,
        session: int,
        attempt: Callable[[], T],
        seconds: float,
        client: Client,
        check: Callable[[], None],
    ) -> T | None:
        """Return what `attempt` answers as soon as it does not fail for want of buffers.

        Returns None if the time is over before.

        Args:
            pool: Whose line to wait in.
            session: Number of the session that waits.
            attempt: Tries to get the buffers; called by the first of the line only.
            seconds: How long to wait.
            client: Who is waited for; the wait ends with it.
            check: Raises if the wait is in vain.

        Raises:
            Refusal: Too many wait; the daemon stops; the client is gone.
        """
        deadline = time.monotonic() + seconds
        ticket = object()
        # Nobody can come in between and be overtaken.
        with self._changed:
            if pool not in self._lines:
                with contextlib.suppress(*NONE_LEFT):
                    return attempt()
            line = self._enter(pool, session, ticket)
        try:
            client.add_callback(self.look)
            while True:
                check()
                is_late = time.monotonic() >= deadline
                is_first = line[0] is ticket
                if is_first:
                    with contextlib.suppress(*NONE_LEFT):
                        return attempt()
                if is_late:
                    return None
                self._sleep(line, ticket, is_first, deadline, client)
        finally:
            self._leave(pool, session, ticket)

    def _sleep(
        self, line: deque[object], ticket: object, is_first: bool, deadline: float, client: Client
    ) -> None:
        with self._changed:
            if self._stopping:
                raise stopping()
            if not client.is_active():
                raise Refusal(
                    grpc.StatusCode.CANCELLED, "CLIENT_GONE", "the client waits no longer"
                )
            if (line[0] is ticket) is is_first:
                left = max(deadline - time.monotonic(), 0)
                self._changed.wait(min(left, LOOK_SECONDS) if is_first else left)

    def _enter(self, pool: str, session: int, ticket: object) -> deque[object]:
        if self._inside_of[session] >= self._limit_each:
            text = "as many calls of the session wait for buffers as may; wait for one of them"
            raise over_limit("max_waiting_calls_per_session", text, self._limit_each)
        if self._inside >= self._limit:
            text = "as many calls wait for buffers as may; try again, or ask without wait"
            raise over_limit("max_waiting_calls", text, self._limit)
        self._inside += 1
        self._inside_of[session] += 1
        line = self._lines.setdefault(pool, deque())
        line.append(ticket)
        return line

    def _leave(self, pool: str, session: int, ticket: object) -> None:
        with self._changed:
            self._inside -= 1
            self._inside_of[session] -= 1
            if not self._inside_of[session]:
                del self._inside_of[session]
            line = self._lines[pool]
            line.remove(ticket)
            if not line:
                del self._lines[pool]
            self._changed.notify_all()
