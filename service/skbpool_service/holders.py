"""Who holds references: drivers, consumers and sessions, by name."""

from dataclasses import dataclass

import skbpool

from skbpool_service.engine import Engine
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
    oldest_at_least: float
    """The oldest is held for so many seconds or longer; 0 if there is none."""
    oldest_at_most: float
    """The oldest is held for so many seconds or shorter."""
    peak_count: int
    """Most references at a time."""
    peak_bytes: int
    """Most bytes at a time."""
    session: int = 0
    """Number of the session; 0: it is none."""
    gone: bool = False
    """Whether it left, and others have what it holds."""


def holders(sessions: Sessions) -> list[Holding]:
    """Return what everybody holds, those included that left and still hold something."""
    return _inside() + [_of_session(session) for session in sessions.all()]


def largest(found: list[Holding]) -> list[Holding]:
    """Return holders with the one with the most bytes first."""
    return sorted(found, key=lambda holding: (-holding.bytes, holding.kind, holding.name))


def holders_of(pool: skbpool.Pool, engine: Engine, sessions: Sessions) -> list[Holding]:
    """Return who has something of a pool, the one with the most bytes first.

    Of drivers and consumers what they hold of any pool: they are not accounted by pool.
    """
    found = [held for held in _inside() if held.count] if pool is engine.hub.pool else []
    for session in sessions.all():
        try:
            count, size = session.table.holds_of(pool)
        except skbpool.Closed:  # meanwhile
            continue
        if count:
            found.append(_of_session(session, count, size))
    return largest(found)


def _inside() -> list[Holding]:
    """Return drivers and consumers."""
    return [
        Holding(
            holder.name,
            holder.kind,
            holder.views,
            holder.bytes,
            holder.oldest_at_least,
            holder.oldest_at_most,
            holder.peak_views,
            holder.peak_bytes,
            gone=holder.retired,
        )
        for holder in skbpool.holders()
        if holder.kind in (DRIVER, CONSUMER)
    ]


def _of_session(session: Session, count: int | None = None, size: int | None = None) -> Holding:
    holds = session.table.holds()
    return Holding(
        session.name,
        SESSION,
        holds["count"] if count is None else count,
        holds["bytes"] if size is None else size,
        holds["oldest"],
        holds["oldest"],
        holds["peak_count"],
        holds["peak_bytes"],
        session.number,
    )
