"""Drivers inside the daemon: cards and replays, attached and detached."""

from skbpool.client.connection import Connection
from skbpool.client.verbs import driver
from skbpool.client.verbs.driver import AS_FAST_AS_MAY_BE, Line
from skbpool.v1 import driver_pb2


class DriverCalls:
    """What a client can do with the drivers inside the daemon."""

    _connection: Connection

    def drivers(self) -> list[driver_pb2.Driver]:
        """Return the drivers that were attached by clients, in the order of their attaching.

        Those that were detached come first, while views of their frames are out.
        """
        return self._connection.do(driver.drivers())

    def attach_nic(
        self,
        name: str,
        line: Line = AS_FAST_AS_MAY_BE,
        *,
        frame_size: int = 64,
        stream: int = 0,
        pool: str = "",
    ) -> driver_pb2.Driver:
        """Attach an emulated card to the daemon; its line carries stamped frames at once.

        Args:
            name: Its name, 1 to 63 printable ASCII characters without spaces.
            line: Its rate, what ends it, its ring.
            frame_size: Bytes of each frame, check sequence included; memory holds four less.
            stream: Number of the stream in the stamps.
            pool: Pool that its ring is filled from; empty: the daemon's first one.

        Raises:
            ValueError: The rate is none.
            OutOfRange: A number has no place in its field.
            AlreadyExists: There is a driver of that name.
            NotFound: There is no such pool.
            RequestOutOfRange: Something is more than the daemon allows.
            ResourceExhausted: As many drivers as there may be, or the pool is too small.
        """
        return self._connection.do(driver.attach_nic(name, line, frame_size, stream, pool))

    def attach_replay(
        self,
        name: str,
        capture: str,
        line: Line = AS_FAST_AS_MAY_BE,
        *,
        loops: int = 1,
        original_timing: bool = False,
        pool: str = "",
    ) -> driver_pb2.Driver:
        """Attach a replay of a capture on the daemon's host.

        Args:
            name: Its name, as of `attach_nic`.
            capture: Path below the daemon's `driver.capture_directory`.
            line: Its rate, what ends it, its ring.
            loops: How often; 0: until something else ends it.
            original_timing: Whether frames keep their distances in time; the rate is then the most.
            pool: Pool that its ring is filled from; empty: the daemon's first one.

        Raises:
            NotFound: There is no such capture, or pool.
            FailedPrecondition: The daemon replays none, or it is no capture.
            InvalidRequest: The path leads elsewhere.
            ServiceError: As for `attach_nic`.
        """
        return self._connection.do(
            driver.attach_replay(name, capture, line, loops, original_timing, pool)
        )

    def detach_driver(self, name: str) -> driver_pb2.Driver:
        """Detach a driver of `drivers`; views of its frames stay valid.

        Returns:
            The driver as it is now: draining while views are out, else gone.

        Raises:
            NotFound: There is no such driver.
        """
        return self._connection.do(driver.detach_driver(name))
