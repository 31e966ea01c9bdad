"""The engine of the daemon: its pools, the hub, and who is attached."""

import itertools
import threading
from dataclasses import dataclass, field
from typing import Protocol

import grpc
import skbpool
from skbpool._native import Hub

from skbpool_service.config import Settings
from skbpool_service.ledger import Ledger
from skbpool_service.refusal import Refusal, check_name, not_found, out_of_range, over_limit


class Attached(Protocol):
    """A driver or consumer at the hub."""

    def close(self) -> None:
        """Detach it."""


@dataclass
class Pools:
    """The pools of the daemon, by name, in the order of their making."""

    settings: Settings
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pools: dict[str, skbpool.Pool | None] = field(default_factory=dict)
    """None while a pool is being made, so that its name is taken."""
    _client_bytes: int = 0

    def make_first(self) -> skbpool.Pool:
        """Make the configured pool. Raises what `skbpool.Pool` raises."""
        wanted = self.settings.pool
        pool = skbpool.Pool(
            wanted.buffers, order=wanted.order, name=wanted.name, huge_pages=wanted.huge_pages
        )
        self._pools[wanted.name] = pool
        return pool

    def make(self, name: str, buffers: int, order: int) -> skbpool.Pool:
        """Make a pool for a client, or raise Refusal."""
        limits = self.settings.limits
        with self._lock:
            if name in self._pools:
                text = f"there is a pool named {name!r} already; choose another name"
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "POOL_EXISTS", text)
            if len(self._pools) >= limits.max_pools:
                text = "the daemon has as many pools as it may"
                raise over_limit("max_pools", text, limits.max_pools, retry=False)
            size = buffers * (4096 << order)
            if self._client_bytes + size > limits.max_pool_bytes:
                text = (
                    f"the pool has {size} bytes, and pools made by clients have "
                    f"{self._client_bytes} already; make it smaller"
                )
                raise over_limit("max_pool_bytes", text, limits.max_pool_bytes, retry=False)
            self._pools[name] = None
            self._client_bytes += size
        try:
            pool = skbpool.Pool(buffers, order=order, name=name)
        except Exception as error:
            with self._lock:
                del self._pools[name]
                self._client_bytes -= size
            if isinstance(error, skbpool.SkbpoolError | MemoryError):
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
                raise Refusal(code, "OUT_OF_MEMORY", str(error)) from None
            raise
        with self._lock:
            self._pools[name] = pool
        return pool

    def get(self, name: str) -> skbpool.Pool:
        """Return the pool of that name, the first one for "", or raise Refusal."""
        with self._lock:
            pool = self._pools.get(name or self.settings.pool.name)
        if pool is None:
            raise not_found("POOL", f"there is no pool named {name[:80]!r}; ListPools tells which")
        return pool

    def all(self) -> list[skbpool.Pool]:
        """Return every pool, in the order of their making."""
        with self._lock:
            return [pool for pool in self._pools.values() if pool is not None]


class Engine:
    """Pools and hub of one daemon."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.pools = Pools(settings)
        self.hub = Hub(self.pools.make_first())
        self.ledger = Ledger(self.hub, settings.limits.max_metric_names)
        self._numbers = itertools.count(1)

    def name(self, asked: str, kind: str) -> str:
        """Return the name that a `kind` is accounted under, or raise Refusal.

        A name that is chosen here is nobody's who is attached.
        """
        if asked:
            return check_name(asked, kind)
        figures = self.hub.stats()
        used = {entry["name"] for side in ("drivers", "consumers") for entry in figures[side]}
        return next(
            name for name in (f"{kind}-{number}" for number in self._numbers) if name not in used
        )

    def quota(self, asked: int) -> int:
        """Return the quota of a consumer that asked for `asked`, or raise Refusal."""
        if asked > self.settings.max_quota:
            raise out_of_range(
                f"a quota of {asked} is more than the daemon allows "
                f"(limits.max_quota = {self.settings.max_quota}); ask for less"
            )
        return asked or self.settings.default_quota

    def detach(self, attached: Attached, kind: str, name: str) -> None:
        """Detach a driver or consumer; what it counted stays with its name."""
        self.ledger.detach(kind, name, attached.close)

    def close(self) -> None:
        """Refuse new drivers and consumers, and let consumers finish what they were handed."""
        self.hub.close()
