"""The one thread that looks now and then at what nobody calls about.

It looks while somebody watches, or while a closed pool waits for its last buffers; else it sleeps.
"""

import threading
import time
from dataclasses import dataclass

import skbpool
import structlog

from skbpool_service.engine import Engine
from skbpool_service.holders import SESSION, Holding, holders
from skbpool_service.ledger import CONSUMER, DRIVER
from skbpool_service.sessions import Sessions
from skbpool_service.watch.feed import Backlog, Event

log = structlog.get_logger()

SUSPECT_SECONDS = 1.0
"""How often holders are looked at, unless the age from which on one is suspected is so short that a
quarter of it is less."""


@dataclass(frozen=True)
class HolderEvent(Event):
    """Something that happened to somebody who holds of a pool."""

    holder: Holding


class Observer:
    """Looks at pools, quotas and holders, and has watchers told what happened."""

    def __init__(self, engine: Engine, sessions: Sessions):
        self._engine = engine
        self._sessions = sessions
        self._settings = engine.settings.watch
        self._looking = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._suspects: set[tuple[str, str, int]] = set()
        self._next_suspects = 0.0
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        engine.quotas.tell = self._tell_quota
        engine.drivers.tell = self._tell_driver

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Have the thread look whether there is something to look at from now on."""
        self._wake.set()

    def join(self, backlog: Backlog) -> None:
        """Have a watcher told what happens from now on, and nothing that happened before."""
        feed = self._engine.feed
        with self._looking:
            self._engine.pools.look()
            self._engine.quotas.look()
            self._engine.drivers.look()
            if not feed.is_watched:
                self._suspects.clear()
                self._next_suspects = 0.0
            feed.join(backlog)
        self.wake()

    def leave(self, backlog: Backlog) -> None:
        """Tell a watcher nothing more."""
        self._engine.feed.leave(backlog)

    def _run(self) -> None:
        while not self._stopped:
            is_needed = self._engine.feed.is_watched or self._engine.pools.has_orphans
            self._wake.wait(self._settings.interval if is_needed else None)
            self._wake.clear()
            try:
                self._look()
            except Exception:
                log.exception("looking at pools and holders failed")

    def _look(self) -> None:
        with self._looking:
            self._engine.pools.look()
            self._engine.quotas.look()
            self._engine.drivers.look()
            if self._engine.feed.is_watched and time.monotonic() >= self._next_suspects:
                self._look_for_suspects()

    def _look_for_suspects(self) -> None:
        age = self._settings.leak_suspect_age
        self._next_suspects = time.monotonic() + min(SUSPECT_SECONDS, age / 4)
        found = {
            (holding.kind, holding.name, holding.session): holding
            for holding in holders(self._sessions)
            # The descriptors of a driver are always out, and their ages only bounds.
            if holding.kind != DRIVER and holding.count and holding.oldest_at_least > age
        }
        for key, holding in found.items():
            if key not in self._suspects:
                self._tell(self._pool_of(holding), "leak_suspect", holding)
        self._suspects = set(found)

    def _tell_quota(self, name: str, kind: str, skipped: int) -> None:
        if not self._engine.feed.is_watched:
            return
        found = [
            holding
            for holding in holders(self._sessions)
            if (holding.kind, holding.name) == (CONSUMER, name)
        ]
        holding = found[0] if found else Holding(name, CONSUMER, 0, 0, 0.0, 0.0, 0, 0)
        self._tell(self._engine.hub.pool, kind, holding, skipped)

    def _tell_driver(self, name: str, kind: str, pool: skbpool.Pool) -> None:
        if self._engine.feed.is_watched:
            self._tell(pool, kind, Holding(name, DRIVER, 0, 0, 0.0, 0.0, 0, 0))

    def _tell(self, pool: skbpool.Pool, kind: str, holding: Holding, skipped: int = 0) -> None:
        in_flight = pool.stats().in_flight
        event = HolderEvent(time.time_ns(), kind, pool.name, in_flight, holding)
        self._engine.feed.tell(event, skipped)

    def _pool_of(self, holding: Holding) -> skbpool.Pool:
        """Return the pool that somebody holds most bytes of."""
        most, chosen = 0, self._engine.hub.pool
        if holding.kind != SESSION:
            return chosen
        for session in self._sessions.all():
            if session.number != holding.session:
                continue
            for pool in self._engine.pools.all():
                try:
                    _, size = session.table.holds_of(pool)
                except skbpool.Closed:  # meanwhile
                    break
                if size > most:
                    most, chosen = size, pool
        return chosen
