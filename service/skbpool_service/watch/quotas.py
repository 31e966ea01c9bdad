"""When consumers go over their quotas and recover."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import skbpool

Tell = Callable[[str, str, int], None]
"""Takes a consumer's name, the kind of event, and how many before it are not told."""


@dataclass
class _Watched:
    name: str
    events: skbpool.QuotaEvents
    missed: int = 0
    is_over: bool = False


class Quotas:
    """The quotas of all consumers that are attached."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: list[_Watched] = []
        self.tell: Tell = lambda _name, _kind, _skipped: None
        """Whom to tell."""

    def watch(self, name: str, events: skbpool.QuotaEvents) -> None:
        """Watch the quota of a consumer until it is detached."""
        self.look()  # forgets those who are
        with self._lock:
            self._watched.append(_Watched(name, events))

    def look(self) -> None:
        """Tell what happened since the last look."""
        with self._lock:
            self._watched = [watched for watched in self._watched if self._look_at(watched)]

    def _look_at(self, watched: _Watched) -> bool:
        """Return whether the consumer is there still."""
        while kind := watched.events.wait(0):
            missed = watched.events.missed
            skipped, watched.missed = missed - watched.missed, missed
            is_gone = kind == "quota_gone"
            if watched.is_over or not is_gone:
                self.tell(watched.name, kind, skipped)
            if is_gone:
                return False
            watched.is_over = kind == "quota_exceeded"
        return True
