"""Who holds references: drivers, consumers and sessions, by name."""

from dataclasses import dataclass

import skbpool

from skbpool_service.ledger import CONSUMER, DRIVER
from skbpool_service.sessions import Session, Sessions

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
    peak_count: int
    """Most references it was seen to hold."""
    peak_bytes: int
    """Most bytes it was seen to be charged for."""
    oldest_at_least: float
    """Seconds for which it holds its oldest reference, at least; 0 if it holds none."""
    oldest_at_most: float
    """The same, at most."""


def holders(sessions: Sessions) -> list[Holding]:
    """Return what everybody holds, those included that left and still hold something."""
    found = [
        Holding(
            name=holder.name,
            kind=holder.kind,
            count=holder.views,
            bytes=holder.bytes,
            peak_count=holder.peak_views,
            peak_bytes=holder.peak_bytes,
            oldest_at_least=holder.oldest_at_least,
            oldest_at_most=holder.oldest_at_most,
        )
        for holder in skbpool.holders()
        if holder.kind in (DRIVER, CONSUMER)
    ]
    return found + [_session(session) for session in sessions.all()]


def _session(session: Session) -> Holding:
    held = session.holds()
    return Holding(
        name=session.name,
        kind=SESSION,
        count=held.count,
        bytes=held.bytes,
        peak_count=held.peak_count,
        peak_bytes=held.peak_bytes,
        oldest_at_least=held.oldest,
        oldest_at_most=held.oldest,
    )
