"""Ingest streams that may be resumed: how far each has come, while its client is away.

```text
 opens ──► entry of the stream_id ──► entering ──► open
             ▲  an older stream that      │          │ connection lost, or ended by the client
             │  is open hands over        ▼          ▼
             └──────────────────────── parked, for a time, so many at most
```
gRPC tells the loss of a connection as the end of its requests first: what a client seems to have
ended in order is parked too, and is forgotten before the others.
"""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from skbpool._native import IngestProgress

from skbpool_service.config.model import Limits
from skbpool_service.refusal import bad_request

STREAM_ID_BYTES = 16
"""Bytes of the identity that a client chooses: with chance alone nobody finds another's."""


class Resumed(Protocol):
    """A stream that is open."""

    def hand_over(self) -> IngestProgress:
        """Handle nothing more, and return what was handled. Raises Refusal if that takes long."""


class Entry:
    """What is kept of one stream."""

    def __init__(self, stream_id: bytes, beginning: int):
        self.stream_id = stream_id
        self.beginning = beginning
        """Number of its making: tells it from another that was kept of the stream before."""
        self.progress = IngestProgress()
        self.known = False
        """Whether it was open before."""
        self.stream: Resumed | None = None
        """Who has it open."""
        self.lock = threading.Lock()
        """Held while it changes hands, by one stream at a time."""


class Resumptions:
    """The streams that may be resumed, by identity; what is parked is so for a time, so many."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic):
        self.instance_id = secrets.token_bytes(16)
        """Tells one run of the daemon from another."""
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[bytes, Entry] = {}
        self._beginnings = itertools.count(1)
        # When each was parked, the oldest first: those that were ended, the others.
        self._ended: dict[bytes, float] = {}
        self._lost: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def parked(self) -> int:
        """How many wait for their client."""
        return len(self._ended) + len(self._lost)

    @contextmanager
    def entering(self, stream_id: bytes, stream: Resumed) -> Iterator[Entry]:
        """Have `stream` be the one of that identity once the body is through.

        In the body, `progress` of the entry is where it goes on; an older stream has handed over.

        Raises:
            Refusal: It is no identity, or the older stream is too busy to hand over.
        """
        if len(stream_id) != STREAM_ID_BYTES:
            raise bad_request(
                f"a stream_id is {STREAM_ID_BYTES} random bytes, not {len(stream_id)}; leave it "
                "out for a stream that is not to be resumed"
            )
        while True:
            entry = self._find(stream_id)
            with entry.lock:
                if not self._unpark(entry):  # forgotten meanwhile
                    continue
                try:
                    if entry.stream is not None:
                        entry.progress = entry.stream.hand_over()
                        entry.stream = None
                    yield entry
                except BaseException:
                    self._keep(entry)
                    raise
                entry.stream, entry.known = stream, True
                return

    def leave(self, entry: Entry, stream: Resumed, progress: IngestProgress, *, done: bool) -> None:
        """Take note of the end of `stream`; `done`: its client ended it, as it seems."""
        with entry.lock:
            if entry.stream is not stream:  # handed over
                return
            entry.stream, entry.progress = None, progress
            self._keep(entry, done=done)

    def _find(self, stream_id: bytes) -> Entry:
        with self._lock:
            self._forget()
            entry = self._entries.get(stream_id)
            if entry is None:
                entry = self._entries[stream_id] = Entry(stream_id, next(self._beginnings))
            return entry

    def _unpark(self, entry: Entry) -> bool:
        """Have it wait for nobody; return whether it is still the one. Its lock is held."""
        with self._lock:
            if self._entries.get(entry.stream_id) is not entry:
                return False
            self._ended.pop(entry.stream_id, None)
            self._lost.pop(entry.stream_id, None)
            return True

    def _keep(self, entry: Entry, *, done: bool = False) -> None:
        """Park what nobody has open. Its lock is held."""
        if entry.stream is not None:
            return
        with self._lock:
            if entry.known:
                (self._ended if done else self._lost)[entry.stream_id] = self._clock()
            else:
                del self._entries[entry.stream_id]
            self._forget()

    def _forget(self) -> None:
        """Forget what was parked too long ago, and the oldest beyond the limit."""
        latest = self._clock() - self._limits.max_resumption_seconds
        for parked in (self._ended, self._lost):
            while parked:
                stream_id, since = next(iter(parked.items()))
                if self.parked <= self._limits.max_resumptions and since > latest:
                    break
                del parked[stream_id]
                self._entries.pop(stream_id, None)
