"""The configured pool, whose memory is taken while the rest of the daemon is being set up."""

import threading

import skbpool

from skbpool_service.config import PoolSettings


class FirstPool:
    """A pool that is being made on a thread of its own: most of that is the kernel's work.

    One that nobody takes goes with this object.
    """

    def __init__(self, settings: PoolSettings):
        self._settings = settings
        self._made: skbpool.Pool | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._make, name="first-pool", daemon=True)
        self._thread.start()

    def take(self) -> skbpool.Pool:
        """Return it, once it is made; to be called once. Raises what `skbpool.Pool` raises."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        pool, self._made = self._made, None
        assert pool is not None  # one or the other
        return pool

    def _make(self) -> None:
        wanted = self._settings
        try:
            self._made = skbpool.Pool(
                wanted.buffers,
                order=wanted.order,
                name=wanted.name,
                watermarks=wanted.watermarks,
                huge_pages=wanted.huge_pages,
            )
        except Exception as error:  # raised where it is asked for
            self._failure = error
