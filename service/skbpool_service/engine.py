"""The engine of the daemon: its pools, the hub, and who is attached."""

import itertools
from typing import Protocol

import skbpool
from skbpool._native import Hub

from skbpool_service.config import Settings
from skbpool_service.drivers import Drivers
from skbpool_service.ledger import Ledger
from skbpool_service.pools import Pools
from skbpool_service.refusal import check_name, out_of_range
from skbpool_service.watch.feed import Feed
from skbpool_service.watch.quotas import Quotas


class Attached(Protocol):
    """A driver or consumer at the hub."""

    def close(self) -> None:
        """Detach it."""


class Engine:
    """Pools and hub of one daemon."""

    def __init__(self, settings: Settings, first_pool: skbpool.Pool):
        self.settings = settings
        self.feed = Feed()
        self.quotas = Quotas()
        self.pools = Pools(settings, self.feed)
        self.hub = Hub(self.pools.add_first(first_pool))
        self.ledger = Ledger(self.hub, settings.limits.max_metric_names)
        self.drivers = Drivers(settings, self.hub, self.ledger)
        self.pools.users = self.drivers.pools
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
                f"(limits.max_quota = {self.settings.max_quota}); ask for less",
                field="quota",
            )
        return asked or self.settings.default_quota

    def detach(self, attached: Attached, kind: str, name: str) -> None:
        """Detach a driver or consumer; what it counted stays with its name."""
        self.ledger.detach(kind, name, attached.close)

    def close(self) -> None:
        """Refuse new drivers and consumers, and let consumers finish what they were handed."""
        self.hub.close()
