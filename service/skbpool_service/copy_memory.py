"""The memory that subscribers have for copies of what they cannot hold."""

import threading

from skbpool_service.config.subscribers import SubscriberLimits
from skbpool_service.refusal import over_limit


class CopyMemory:
    """How much there is of it: what all may have together is limited."""

    def __init__(self, limits: SubscriberLimits):
        self._limits = limits
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Bytes that subscribers have."""
        return self._taken

    def take(self, size: int) -> None:
        """Take `size` bytes, or raise Refusal."""
        most = self._limits.max_copy_bytes
        with self._lock:
            if self._taken + size <= most:
                self._taken += size
                return
            free = max(most - self._taken, 0)
        text = f"subscribers' copies may have {free} bytes more, and {size} were asked for"
        raise over_limit("max_copy_bytes", text, most)

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._taken -= size
