"""Which failures pass, and how long to wait until the next attempt."""

import random

import grpc

from skbpool.client.errors import ServiceError

FIRST_DELAY = 0.05
"""Seconds before the second attempt, at most."""

LONGEST_DELAY = 2.0
"""Seconds between two attempts, at most."""

_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
"""Statuses of a daemon that stops or is gone, and of a connection that is lost."""


def passes(error: ServiceError) -> bool:
    """Return whether trying again can help."""
    return error.code in _PASSING or error.details.retry_after is not None


class Backoff:
    """Delays that double, each shortened by up to half at random: clients do not come together."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def reset(self) -> None:
        """Begin anew: an attempt succeeded."""
        self._delay = FIRST_DELAY

    def next(self, least: float = 0.0) -> float:
        """Return the seconds to wait now, `least` or more."""
        delay = self._delay * random.uniform(0.5, 1.0)
        self._delay = min(self._delay * 2, LONGEST_DELAY)
        return max(delay, least)
