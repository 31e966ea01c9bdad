"""What a stream may send: as much as it was granted beyond what the server handled."""

import threading
import time
from collections import deque
from collections.abc import Iterator

from rpc.frames import Message

PATIENCE = 60.0
"""Seconds without a word from the server after which it is given up."""


class Stuck(Exception):
    """The server grants nothing any more."""


class Flow:
    """Counts what was sent and what of it was handled, in frames and in bytes of messages."""

    def __init__(self, credit: int | None = None) -> None:
        self._changed = threading.Condition()
        self._credit = credit
        self._handled_frames = 0
        self._waiting: deque[tuple[int, int]] = deque()
        self._outstanding = 0
        self._ended = False
        self.frames = 0
        """Frames sent."""
        self.bytes = 0
        """Bytes of messages sent."""
        self.messages = 0

    def take(self, message: Message) -> bool:
        """Wait until `message` may be sent and count it; False if the stream is over."""
        size = len(message.data)

        def may() -> bool:
            if self._ended:
                return True
            return self._credit is not None and (
                not self._outstanding or self._outstanding + size <= self._credit
            )

        with self._changed:
            if not self._changed.wait_for(may, PATIENCE):
                raise Stuck(f"nothing granted for {PATIENCE:g} s after {self.frames} frames")
            if self._ended:
                return False
            self._outstanding += size
            self.frames += message.frames
            self.bytes += size
            self.messages += 1
            self._waiting.append((self.frames, size))
        return True

    def handled(self, frames: int, credit: int | None = None) -> None:
        """Take note that the first `frames` frames were handled."""
        with self._changed:
            self._credit = credit or self._credit
            while self._waiting and self._waiting[0][0] <= frames:
                self._outstanding -= self._waiting.popleft()[1]
            self._changed.notify()

    def end(self) -> None:
        """Send no more."""
        with self._changed:
            self._ended = True
            self._changed.notify()


def paced(messages: list[Message], rate: float | None, until: float) -> Iterator[Message]:
    """Yield the messages over and over until the monotonic time `until`.

    Args:
        messages: What there is.
        rate: Messages a second; None for as many as are taken.
        until: When to end.
    """
    begin, number = time.monotonic(), 0
    while (now := time.monotonic()) < until:
        if rate is not None and (wait := begin + number / rate - now) > 0:
            time.sleep(wait)
        yield messages[number % len(messages)]
        number += 1
