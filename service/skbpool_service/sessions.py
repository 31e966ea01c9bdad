"""Lease sessions: who was lent something, and by which identity it is reached.

What a session holds is in its table, in Rust; nothing here looks into it.
"""

import itertools
import secrets
import threading
from collections.abc import Callable

from skbpool._native import LeasePort, LeaseTable

from skbpool_service.refusal import Refusal, not_found

GENERATION_BITS = 31
"""Bits of the random number with which the handles of a session begin."""


class Session:
    """What one client was lent."""

    def __init__(self, number: int, name: str, max_handles: int, end: Callable[[Refusal], None]):
        self.id = secrets.token_urlsafe(18)
        """Who knows it may use the session."""
        self.number = number
        """Names the session to others; never used again."""
        self.name = name
        generation = secrets.randbits(GENERATION_BITS)
        self.table = LeaseTable(name, first_generation=generation, max_handles=max_handles)
        self.end = end
        """Ends the stream of the client."""
        self._lock = threading.Lock()
        self._port: LeasePort | None = None
        self._closed = False

    def check_open(self) -> None:
        """Raise Refusal if the session has ended."""
        if self._closed:
            raise unknown_session()

    def port(self, attach: Callable[[str], LeasePort]) -> LeasePort:
        """Return what the session delivers by, which `attach` makes the first time."""
        port = self._port
        if port is None:
            with self._lock:
                self.check_open()
                port = self._port = self._port or attach(self.name)
        return port

    def revoke(self) -> None:
        """Let go of everything; there is nothing more to be had."""
        self._closed = True
        self.table.close()

    def close(self) -> LeasePort | None:
        """End the session and let go of everything; return what it delivered by, to be detached."""
        with self._lock:
            self._closed = True
            port, self._port = self._port, None
        self.table.close()
        return port


class Sessions:
    """The sessions that are open, by identity."""

    def __init__(self, max_handles: int):
        self.max_handles = max_handles
        """Most handles of a session that is opened from now on."""
        self._numbers = itertools.count(1)
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, name: str, end: Callable[[Refusal], None]) -> Session:
        """Open a session whose client's stream `end` ends. Raises skbpool.TooManyHolders."""
        session = Session(next(self._numbers), name, self.max_handles, end)
        self._open[session.id] = session
        return session

    def get(self, session_id: str) -> Session:
        """Return the session of that identity, or raise Refusal."""
        session = self._open.get(session_id)
        if session is None:
            raise unknown_session()
        return session

    def close(self, session: Session) -> LeasePort | None:
        """End `session`; return what it delivered by, to be detached."""
        self._open.pop(session.id, None)
        return session.close()

    def revoke(self, session: Session) -> None:
        """End `session`, but for what it delivers by, which goes with its stream."""
        self._open.pop(session.id, None)
        session.revoke()

    def all(self) -> list[Session]:
        """Return every open session."""
        return list(self._open.values())


def unknown_session() -> Refusal:
    """Return the refusal of a session that is not there."""
    return not_found("SESSION", "there is no such session, or it has ended; open another one")
