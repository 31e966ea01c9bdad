"""Lease sessions: what each client was lent, under handles that only it can use.

A handle is an opaque number that is never used again while the daemon runs. The table of a session
says what its handles stand for, so that a number that is stale, made up or of another session finds
nothing. Every verb takes all of its arguments or changes nothing.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import skbpool
import structlog
from skbpool._native import Reservation

from skbpool_service.refusal import bad_request, not_found, over_limit

log = structlog.get_logger()

Lent = skbpool.Buffer | skbpool.Skb


class Handles:
    """Numbers that never repeat and do not tell how many there were."""

    # Odd, so that multiples modulo 2**64 repeat only after 2**64 of them. It is 2**64 divided by
    # the golden ratio, as in Fibonacci hashing (Knuth, The Art of Computer Programming, 6.4).
    _STEP = 0x9E3779B97F4A7C15
    _MASK = (1 << 64) - 1

    def __init__(self) -> None:
        self._start = secrets.randbits(64)
        self._count = itertools.count()

    def take(self) -> int:
        """Return the next one."""
        return (self._start + next(self._count) * self._STEP) & self._MASK


@dataclass(frozen=True)
class Held:
    """What a session holds now, and had."""

    count: int
    """References."""
    bytes: int
    """What those references are charged for."""
    peak_count: int
    """Most references it ever held."""
    peak_bytes: int
    """Most bytes it was seen to be charged for."""
    oldest: float
    """Seconds for which it holds its oldest reference; 0 if it holds none."""


class Session:
    """What one client was lent."""

    def __init__(self, name: str, handles: Handles, max_handles: int):
        self.id = secrets.token_urlsafe(18)
        self.name = name
        self.lock = threading.Lock()
        """Held while a verb runs: a session is used by one call at a time."""
        self._handles = handles
        self._max_handles = max_handles
        # Views of one buffer share its loan, which ends with the last of them.
        self._held: dict[int, tuple[Lent, Reservation]] = {}
        self._since: dict[int, float] = {}
        """When each handle was given, the oldest first."""
        self._peak_count = self._peak_bytes = 0
        self._closed = False

    def check_open(self) -> None:
        """Raise Refusal if the session ended."""
        if self._closed:
            raise not_found("SESSION", "the session has ended; open another one")

    def check_room(self, more: int) -> None:
        """Raise Refusal if the session may not hold `more` handles beside those it has."""
        if len(self._held) + more > self._max_handles:
            text = f"the session holds {len(self._held)} handles and would take {more} more"
            raise over_limit("max_handles_per_session", text, self._max_handles, retry=False)

    def add(self, things: Iterable[tuple[Lent, Reservation]]) -> list[int]:
        """Put `things`, each with the loan of its buffer, into the table; return their handles."""
        added = {self._handles.take(): thing for thing in things}
        self._held.update(added)
        self._since.update(dict.fromkeys(added, time.monotonic()))
        self._peak_count = max(self._peak_count, len(self._held))
        return list(added)

    def get(self, handle: int) -> Lent:
        """Return what `handle` stands for, or raise Refusal."""
        return self._entry(handle)[0]

    def loan(self, handle: int) -> Reservation:
        """Return the loan of the buffer behind `handle`, or raise Refusal."""
        return self._entry(handle)[1]

    def _entry(self, handle: int) -> tuple[Lent, Reservation]:
        try:
            return self._held[handle]
        except KeyError:
            text = f"the session holds nothing under handle {handle}"
            raise not_found("HANDLE", text) from None

    def buffer(self, handle: int) -> skbpool.Buffer:
        """Return the buffer that `handle` stands for, or raise Refusal."""
        held = self.get(handle)
        if not isinstance(held, skbpool.Buffer):
            raise bad_request(f"handle {handle} is of an skb; a buffer is needed here")
        return held

    def skbs(self, handles: Sequence[int]) -> list[skbpool.Skb]:
        """Return the skbs that `handles` stand for, each named once, or raise Refusal."""
        found: list[skbpool.Skb] = []
        for handle in distinct(handles):
            held = self.get(handle)
            if isinstance(held, skbpool.Buffer):
                raise bad_request(f"handle {handle} is of a buffer; make skbs of it first")
            found.append(held)
        return found

    def drop(self, handles: Iterable[int]) -> None:
        """Take known `handles` out of the table."""
        for handle in handles:
            del self._held[handle]
            del self._since[handle]

    def close(self) -> int:
        """End the session and let go of everything; return how many handles there were."""
        with self.lock:
            self._closed = True
            held, self._held = self._held, {}
            self._since = {}
        for thing, _ in held.values():
            thing.release()
        return len(held)

    def holds(self) -> Held:
        """Return what the session holds."""
        with self.lock:
            sizes = [
                len(thing) if isinstance(thing, skbpool.Buffer) else thing.truesize
                for thing, _ in self._held.values()
            ]
            self._peak_bytes = max(self._peak_bytes, sum(sizes))
            now = time.monotonic()
            oldest = now - next(iter(self._since.values()), now)
            return Held(
                len(sizes), sum(sizes), self._peak_count, self._peak_bytes, max(0.0, oldest)
            )


class Sessions:
    """The sessions that are open, by identity."""

    def __init__(self, max_handles: int):
        self._max_handles = max_handles
        self._handles = Handles()
        self._lock = threading.Lock()
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, name: str) -> Session:
        """Open a session."""
        session = Session(name, self._handles, self._max_handles)
        with self._lock:
            self._open[session.id] = session
        return session

    def get(self, session_id: str) -> Session:
        """Return the session of that identity, or raise Refusal."""
        with self._lock:
            session = self._open.get(session_id)
        if session is None:
            raise not_found(
                "SESSION", "there is no such session, or it has ended; open another one"
            )
        return session

    def close(self, session: Session) -> int:
        """End `session`; return how many handles it had."""
        with self._lock:
            self._open.pop(session.id, None)
        return session.close()

    def all(self) -> list[Session]:
        """Return every open session."""
        with self._lock:
            return list(self._open.values())


def distinct(handles: Sequence[int]) -> Sequence[int]:
    """Return `handles`, or raise Refusal if one is named twice."""
    if len(set(handles)) != len(handles):
        raise bad_request("a handle is named twice in one request")
    return handles
