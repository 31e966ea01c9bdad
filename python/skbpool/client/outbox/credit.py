"""How much may be sent before the daemon acknowledges."""

from collections import deque


class Credit:
    """Bytes that were granted, and those of them that are in use.

    A message counts whole, while credit is granted for its frames alone: simpler than reading it,
    and on the safe side.
    """

    def __init__(self) -> None:
        self._granted: int | None = None
        self._used = 0

    def grant(self, size: int) -> None:
        """Allow `size` bytes in all."""
        self._granted = size

    def revoke(self) -> None:
        """Allow nothing until there is another grant; nothing is in use."""
        self._granted, self._used = None, 0

    def allows(self, size: int) -> bool:
        """Return whether `size` bytes may be sent now. Alone, a message always may."""
        if self._granted is None:
            return False
        return not self._used or self._used + size <= self._granted

    def use(self, size: int) -> None:
        """Take note that `size` bytes are sent."""
        self._used += size

    def return_(self, size: int) -> None:
        """Take note that `size` bytes were acknowledged."""
        self._used -= size


class Window:
    """The credit of a stream whose messages are numbered from 1, in the order of their sending."""

    def __init__(self) -> None:
        self._credit = Credit()
        self._unacknowledged: deque[int] = deque()
        self._acked_through = 0

    def allows(self, size: int) -> bool:
        """Return whether a message of `size` bytes may be sent now."""
        return self._credit.allows(size)

    def send(self, size: int) -> None:
        """Take note that the next message is sent."""
        self._unacknowledged.append(size)
        self._credit.use(size)

    def grant(self, acked_through: int, credit: int) -> None:
        """Take note of what the daemon said."""
        self._credit.grant(credit)
        while self._acked_through < acked_through and self._unacknowledged:
            self._acked_through += 1
            self._credit.return_(self._unacknowledged.popleft())
