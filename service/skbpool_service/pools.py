"""The pools of the daemon: the configured one, and those that clients made."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import grpc
import skbpool
import structlog

from skbpool_service.config import Settings
from skbpool_service.refusal import Refusal, not_found, out_of_range, over_limit
from skbpool_service.watch.feed import Event, Feed

log = structlog.get_logger()

HugePages = Literal["never", "try", "require"]

HUGE_PAGE_BYTES = 2 << 20
"""What the memory of a pool on huge pages is rounded up to."""


@dataclass(frozen=True)
class Wanted:
    """A pool to be made."""

    name: str
    buffers: int
    order: int = 0
    """Each buffer has `4096 << order` bytes."""
    watermarks: tuple[int, int] | None = None
    """Low and high, in free buffers; None: the defaults."""
    huge_pages: HugePages = "never"
    """Whether its memory lies on huge pages."""

    @property
    def bytes(self) -> int:
        """Memory that it takes at most."""
        size = self.buffers * (4096 << self.order)
        page = 1 if self.huge_pages == "never" else HUGE_PAGE_BYTES
        return -(-size // page) * page

    def make(self) -> skbpool.Pool:
        """Make it. Raises what `skbpool.Pool` raises."""
        return skbpool.Pool(
            self.buffers,
            order=self.order,
            name=self.name,
            watermarks=self.watermarks,
            huge_pages=self.huge_pages,
        )


class _Kept:
    """A pool that there is."""

    def __init__(self, pool: skbpool.Pool, size: int):
        self.pool = pool
        self.bytes = size
        """What it takes of the memory that pools made by clients may have."""
        self.events = pool.events()
        self.missed = 0
        """Events of those that were skipped so far."""
        self.short_of = 0
        """Fewest buffers that were asked for in vain; 0: as many were there since."""
        self.closed_at = 0
        """When it was closed, in nanoseconds since the Unix epoch; 0: it is open."""
        self.is_whole = False
        """Whether it is closed and its last buffer home."""
        self.skipped = 0
        """Events that were skipped before that."""


class Pools:
    """The pools by name, in the order of their making, orphaned ones included."""

    def __init__(self, settings: Settings, feed: Feed):
        self.settings = settings
        self._feed = feed
        self._lock = threading.Lock()
        # None while a pool is being made, so that its name is taken.
        self._pools: dict[str, _Kept | None] = {}
        self._client_bytes = 0
        self.users: Callable[[], list[skbpool.Pool]] = list
        """The pools that drivers have, which keep their memory."""

    def add_first(self, pool: skbpool.Pool) -> skbpool.Pool:
        """Add the configured pool, and return it."""
        self._pools[self.settings.pool.name] = _Kept(pool, 0)
        return pool

    def make(self, wanted: Wanted) -> skbpool.Pool:
        """Make a pool for a client, or raise Refusal."""
        self.look()
        self._promise(wanted)
        try:
            pool = wanted.make()
        except Exception as error:
            with self._lock:
                del self._pools[wanted.name]
                self._client_bytes -= wanted.bytes
            if isinstance(error, skbpool.BadPool):
                raise out_of_range(str(error)) from None
            if isinstance(error, skbpool.SkbpoolError | MemoryError):
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
                raise Refusal(code, "OUT_OF_MEMORY", str(error)) from None
            raise
        with self._lock:
            self._pools[wanted.name] = _Kept(pool, wanted.bytes)
            self._tell(pool, "created")
        return pool

    def _promise(self, wanted: Wanted) -> None:
        """Take name and memory for a pool, or raise Refusal."""
        limits = self.settings.limits
        with self._lock:
            if wanted.name in self._pools:
                text = f"there is a pool named {wanted.name!r} already; choose another name"
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "POOL_EXISTS", text)
            if len(self._pools) >= limits.max_pools:
                text = "the daemon has as many pools as it may"
                raise over_limit("max_pools", text, limits.max_pools, retry=False)
            if self._client_bytes + wanted.bytes > limits.max_pool_bytes:
                text = (
                    f"the pool has {wanted.bytes} bytes, and pools made by clients have "
                    f"{self._client_bytes} already; make it smaller"
                )
                raise over_limit("max_pool_bytes", text, limits.max_pool_bytes, retry=False)
            self._pools[wanted.name] = None
            self._client_bytes += wanted.bytes

    def close(self, name: str) -> tuple[skbpool.Pool, int]:
        """Close the pool of that name, or raise Refusal; one that is closed stays so.

        Returns:
            The pool, and when it was closed, in nanoseconds since the Unix epoch.
        """
        pool = self.get(name)
        if pool.name == self.settings.pool.name:
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "NOT_CLOSABLE",
                f"{pool.name!r} is the daemon's first pool, which drivers and consumers share: it "
                "lasts as long as the daemon",
            )
        with self._lock:
            kept = self._of(pool)
            if kept is None:  # gone meanwhile
                raise _unknown(name)
            if not kept.closed_at:
                kept.closed_at = time.time_ns()
                log.info("pool closed", pool=pool.name, in_flight=pool.close())
        self.look()
        return pool, kept.closed_at

    def get(self, name: str) -> skbpool.Pool:
        """Return the pool of that name, the first one for "", or raise Refusal."""
        name = name or self.settings.pool.name
        kept = self._pools.get(name)
        if kept is not None and kept.closed_at:
            self.look()
            kept = self._pools.get(name)
        if kept is None:
            raise _unknown(name)
        return kept.pool

    def get_open(self, name: str) -> skbpool.Pool:
        """As `get`, of a pool that hands out buffers."""
        pool = self.get(name)
        if pool.is_closed:
            raise pool_closed(pool)
        return pool

    def all(self) -> list[skbpool.Pool]:
        """Return every pool, in the order of their making."""
        self.look()
        with self._lock:
            return [kept.pool for kept in self._pools.values() if kept is not None]

    def closed_at(self, pool: skbpool.Pool) -> int:
        """Return when a pool was closed, in nanoseconds since the Unix epoch; 0: it is open."""
        with self._lock:
            kept = self._of(pool)
            return 0 if kept is None else kept.closed_at

    @property
    def has_orphans(self) -> bool:
        """Whether there are closed pools, which wait for their last buffers."""
        with self._lock:
            return any(kept is not None and kept.closed_at for kept in self._pools.values())

    def note_short(self, pool: skbpool.Pool, buffers: int) -> None:
        """Take note that so many were asked for and not to be had."""
        with self._lock:
            kept = self._of(pool)
            # More than there are it will never have.
            if kept is not None and buffers <= pool.count:
                self._note_short(kept, buffers)

    def look(self) -> None:
        """Tell what happened to the pools; one that is gone leaves its name and its memory."""
        with self._lock:
            for kept in self._pools.values():
                if kept is not None:
                    self._look_at(kept)
            if not any(kept is not None and kept.is_whole for kept in self._pools.values()):
                return
        # Asked after it was closed, whence nobody attaches to it any more.
        used = self.users()
        # Their memory is given back after the lock is.
        gone = []
        with self._lock:
            for name, kept in list(self._pools.items()):
                if kept is None or not kept.is_whole or any(kept.pool is pool for pool in used):
                    continue
                gone.append(self._pools.pop(name))
                self._client_bytes -= kept.bytes
                self._tell(kept.pool, "gone", kept.skipped)
                log.info("pool gone", pool=name)

    def _look_at(self, kept: _Kept) -> None:
        pool = kept.pool
        while not kept.is_whole and (kind := kept.events.wait(0)):
            missed = kept.events.missed
            skipped, kept.missed = missed - kept.missed, missed
            if kind == "exhausted":
                self._note_short(kept, 1)
            elif kind == "gone":
                kept.is_whole, kept.skipped = True, skipped
            else:
                self._tell(pool, kind, skipped)
        if kept.short_of and pool.count - pool.stats().reserved >= kept.short_of:
            kept.short_of = 0

    def _note_short(self, kept: _Kept, buffers: int) -> None:
        if not kept.short_of:
            self._tell(kept.pool, "exhausted")
        kept.short_of = min(kept.short_of or buffers, buffers)

    def _tell(self, pool: skbpool.Pool, kind: str, skipped: int = 0) -> None:
        event = Event(time.time_ns(), kind, pool.name, pool.stats().in_flight)
        self._feed.tell(event, skipped)

    def _of(self, pool: skbpool.Pool) -> _Kept | None:
        """Return what is kept of a pool; None if it is gone."""
        kept = self._pools.get(pool.name)
        return kept if kept is not None and kept.pool is pool else None


def _unknown(name: str) -> Refusal:
    return not_found("POOL", f"there is no pool named {name[:80]!r}; ListPools tells which")


def pool_closed(pool: skbpool.Pool) -> Refusal:
    """Return the refusal of buffers of a pool that was closed."""
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        "POOL_CLOSED",
        f"the pool {pool.name!r} was closed and hands out nothing more; use another one",
        pool=pool.name,
    )
