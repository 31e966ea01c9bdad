"""The drivers that clients attached: emulated cards and replays, each in a native thread.

```text
 attach ──► running ──► finished, failed ──► detach ──► draining ──► gone
               └───────────────────────────────┘   (nothing out) ────┘
```
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import skbpool
import structlog
from skbpool._native import Hub, NicDriver

from skbpool_service.config import Settings
from skbpool_service.ledger import DRIVER, Ledger
from skbpool_service.refusal import Refusal, check_name, not_found, over_limit, stopping

log = structlog.get_logger()

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"
DRAINING = "draining"
DETACHED = "detached"

STATES = (RUNNING, FINISHED, FAILED, DRAINING)
"""Those that a driver which is listed can have."""

Make = Callable[[], NicDriver]


class Tell(Protocol):
    """Whom to tell what happens to a driver."""

    def __call__(self, name: str, kind: str, pool: skbpool.Pool, /) -> None:
        """Take its name, the kind of event, and its pool."""


@dataclass(frozen=True)
class Plan:
    """A driver that is to be attached."""

    name: str
    kind: str
    """`"emulated_nic"` or `"replay"`."""
    pool: skbpool.Pool
    capture: str = ""
    """The capture as the client named it."""


@dataclass(frozen=True)
class Standing:
    """How a driver stands."""

    plan: Plan
    state: str
    report: Mapping[str, Any]
    """As `NicDriver.report` tells it."""
    buffers_out: int = 0
    views_out: int = 0


class _Kept:
    """A driver that there is."""

    def __init__(self, plan: Plan, native: NicDriver):
        self.plan = plan
        self.native = native
        self.is_leaving = False
        """Whether it is being detached, which ends its line."""
        self.is_detached = False
        self.told = RUNNING
        """The last state that watchers were told."""

    def standing(self) -> Standing:
        report = self.native.report()
        if not self.is_detached:
            ended = FAILED if report["error"] is not None else FINISHED
            return Standing(self.plan, ended if report["ended"] else RUNNING, report)
        buffers, views = self.native.out()
        state = DRAINING if views else DETACHED
        return Standing(self.plan, state, report, buffers, views)


class Drivers:
    """The drivers by name, in the order of their attaching, and those that drain."""

    def __init__(self, settings: Settings, hub: Hub, ledger: Ledger):
        self._settings = settings
        self._hub = hub
        self._ledger = ledger
        self._lock = threading.Lock()
        # None while one is being attached, so that its name is taken.
        self._attached: dict[str, _Kept | None] = {}
        self._attaching: list[Plan] = []
        self._draining: list[_Kept] = []
        self._stopping = False
        self.tell: Tell = lambda _name, _kind, _pool: None
        """Whom to tell."""

    def attach(self, plan: Plan, make: Make) -> Standing:
        """Attach the driver that `make` returns, or raise Refusal, or what `make` raises."""
        self._take_name(check_name(plan.name, DRIVER))
        with self._lock:
            self._attaching.append(plan)
        try:
            kept = _Kept(plan, make())
        except BaseException:
            with self._lock:
                del self._attached[plan.name]
                self._attaching.remove(plan)
            raise
        with self._lock:
            self._attached[plan.name] = kept
            self._attaching.remove(plan)
            too_late = self._stopping
        if too_late:  # nobody would detach it
            self._detach(kept)
            raise stopping()
        log.info("driver attached", driver=plan.name, kind=plan.kind, pool=plan.pool.name)
        self.tell(plan.name, "driver_attached", plan.pool)
        return kept.standing()

    def _take_name(self, name: str) -> None:
        most = self._settings.limits.max_drivers
        self.look()  # those whose views came home count no more
        others = {entry["name"] for entry in self._hub.stats()["drivers"]}
        with self._lock:
            if self._stopping:
                raise stopping()
            if name in self._attached or name in others:
                text = f"there is a driver named {name!r} already; choose another name"
                raise Refusal(grpc.StatusCode.ALREADY_EXISTS, "DRIVER_EXISTS", text)
            if len(self._attached) + len(self._draining) >= most:
                text = "the daemon has as many drivers as it may, those that drain included"
                raise over_limit("max_drivers", text, most)
            self._attached[name] = None

    def detach(self, name: str) -> Standing:
        """Detach the driver of that name, or raise Refusal; one that drains tells how it stands."""
        with self._lock:
            kept = self._attached.get(name)
            if kept is None:
                same = [each for each in self._draining if each.plan.name == name]
                if not same or name in self._attached:
                    raise _unknown(name)
                return same[-1].standing()
        self._detach(kept)
        return kept.standing()

    def _detach(self, kept: _Kept) -> None:
        plan = kept.plan
        self.look()
        kept.is_leaving = True
        # It waits for the delivery that the thread is at, and nobody else shall.
        kept.native.finish()
        with self._lock:
            if kept.is_detached:  # by somebody else meanwhile
                return
            self._ledger.detach(DRIVER, plan.name, kept.native.close)
            kept.is_detached = True
            self._attached.pop(plan.name, None)
            if kept.native.out()[1]:
                kept.told = DRAINING
                self._draining.append(kept)
            # Whoever finds it drained comes after this.
            self.tell(plan.name, "driver_detached", plan.pool)
        report = kept.native.report()
        log.info(
            "driver detached",
            driver=plan.name,
            offered=report["offered"],
            frames=report["accepted"],
            views_out=kept.native.out()[1],
            error=report["error"],
        )

    def all(self) -> list[Standing]:
        """Return how every driver stands: those that drain, then those that are attached."""
        self.look()
        with self._lock:
            kept = [*self._draining, *(each for each in self._attached.values() if each)]
        return [standing for each in kept if (standing := each.standing()).state != DETACHED]

    def pools(self) -> list[skbpool.Pool]:
        """Return the pools of every driver: until it is detached and drained, it has its pool."""
        self.look()
        with self._lock:
            kept = [*self._draining, *(each for each in self._attached.values() if each)]
            return [each.plan.pool for each in kept] + [plan.pool for plan in self._attaching]

    def look(self) -> None:
        """Tell what happened to the drivers; one whose last view is home is forgotten."""
        with self._lock:
            kept = [*self._draining, *(each for each in self._attached.values() if each)]
            happened = []
            for each in kept:
                state = each.standing().state
                if each.is_leaving and not each.is_detached:
                    continue
                if state != each.told:
                    event = "drained" if state == DETACHED else state
                    happened.append((each.plan.name, f"driver_{event}", each.plan.pool))
                    each.told = state
                if state == DETACHED:
                    self._draining.remove(each)
        for name, event, pool in happened:
            self.tell(name, event, pool)

    def ask_to_stop(self) -> None:
        """Have every line go down, and refuse whoever comes; waits for nothing."""
        with self._lock:
            self._stopping = True
            for kept in self._attached.values():
                if kept is not None:
                    kept.native.stop()

    def stop(self, patience: float) -> None:
        """Detach every driver. Waits `patience` seconds for all of them together."""
        self.ask_to_stop()
        with self._lock:
            kept = [each for each in self._attached.values() if each is not None]
        # Beside each other, since one may wait for consumers.
        threads = [
            threading.Thread(target=self._detach, args=(each,), daemon=True) for each in kept
        ]
        deadline = time.monotonic() + patience
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))


def _unknown(name: str) -> Refusal:
    text = f"there is no driver named {name[:80]!r}; ListDrivers tells which there are"
    return not_found("DRIVER", text)
