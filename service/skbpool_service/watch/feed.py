"""What happens, on its way to whoever watches: nobody who tells waits for anybody."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """Something that happened to a pool."""

    time: int
    """When it was noticed, in nanoseconds since the Unix epoch."""
    kind: str
    """As in PoolEventKind, in lower case."""
    pool: str
    """Name of the pool."""
    in_flight: int
    """Buffers of it that were out then."""


class Backlog:
    """What one watcher has not been sent yet: so many events, then the oldest are skipped.

    `ready` is called when there is something, and again only after `take` found nothing.
    """

    def __init__(self, most: int, ready: Callable[[], object]):
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=most)
        self._missed = 0
        self._ready = ready
        self._called = False

    def add(self, event: Event, skipped: int) -> None:
        """Add an event before which so many were skipped."""
        with self._lock:
            self._missed += skipped + (len(self._events) == self._events.maxlen)
            self._events.append(event)
            if self._called:
                return
            self._called = True
        self._ready()

    def take(self, most: int) -> tuple[int, list[Event]]:
        """Return how many were skipped since this was last asked, and the next events."""
        with self._lock:
            missed, self._missed = self._missed, 0
            events = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            self._called = bool(events)
            return missed, events


class Feed:
    """Tells every watcher."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: tuple[Backlog, ...] = ()

    @property
    def is_watched(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._watchers)

    def join(self, backlog: Backlog) -> None:
        """Have a watcher told from now on."""
        with self._lock:
            self._watchers = (*self._watchers, backlog)

    def leave(self, backlog: Backlog) -> None:
        """Tell it nothing more."""
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each is not backlog)

    def tell(self, event: Event, skipped: int = 0) -> None:
        """Tell everybody of an event, and that so many before it are not told."""
        with self._lock:
            for watcher in self._watchers:
                watcher.add(event, skipped)
