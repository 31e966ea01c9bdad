"""Waiting until something may have changed."""

import asyncio


class Changes:
    """Wakes every task that waits; each looks for itself what changed."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake those that wait now."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, timeout: float | None) -> None:
        """Wait for the next change, or for `timeout` seconds; None: as long as it takes."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await asyncio.wait({future}, timeout=timeout)
        finally:
            self._waiting.discard(future)
