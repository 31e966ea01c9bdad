"""Who holds references: drivers, consumers and sessions, by name."""

from dataclasses import dataclass

import skbpool

from skbpool_service.ledger import CONSUMER, DRIVER
from skbpool_service.sessions import Sessions

SESSION = "session"


@dataclass(frozen=True)
class Holding:
    """What one holder has now."""

    name: str
    kind: str
    """`"driver"`, `"consumer"` or `"session"`."""
    count: int
    """References."""
    bytes: int
    """What those references are charged for."""


def holders(sessions: Sessions) -> list[Holding]:
    """Return what everybody holds, those included that left and still hold something."""
    found = [
        Holding(holder.name, holder.kind, holder.views, holder.bytes)
        for holder in skbpool.holders()
        if holder.kind in (DRIVER, CONSUMER)
    ]
    for session in sessions.all():
        count, size = session.holds()
        found.append(Holding(session.name, SESSION, count, size))
    return found
