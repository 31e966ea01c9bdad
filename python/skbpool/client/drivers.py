"""Drivers inside the daemon: cards and replays, attached and detached."""

from dataclasses import dataclass

from skbpool._native import parse_rate
from skbpool.client.connection import Connection
from skbpool.v1 import driver_pb2, driver_pb2_grpc


@dataclass(frozen=True)
class Line:
    """The line of a driver, and its ring."""

    rate: str = "max"
    """How fast it is: "1Gbps", "1.4Mpps", "max": as fast as the daemon allows."""
    frames: int = 0
    """It goes down after so many frames; 0: not for their number."""
    duration: float | None = None
    """It goes down after so many seconds; None: not for the time."""
    ring: int = 0
    """Descriptors; 0: the daemon chooses."""
    block_at_most: float | None = None
    """Seconds that a delivery waits for consumers which ask for it; None: for nobody."""

    def message(self) -> driver_pb2.DriverLine:
        """Return it as a message. Raises ValueError if the rate is none."""
        line = driver_pb2.DriverLine(frames=self.frames, descriptors=self.ring)
        match parse_rate(self.rate):
            case ("bits_per_second", bits):
                line.bits_per_second = bits
            case ("frames_per_second", frames):
                line.frames_per_second = frames
        if self.duration is not None:
            line.duration.FromNanoseconds(round(self.duration * 1e9))
        if self.block_at_most is not None:
            line.block_at_most.FromNanoseconds(round(self.block_at_most * 1e9))
        return line


AS_FAST_AS_MAY_BE = Line()


class DriverCalls:
    """What a client can do with the drivers inside the daemon."""

    _connection: Connection

    def drivers(self) -> list[driver_pb2.Driver]:
        """Return the drivers that were attached by clients, in the order of their attaching.

        Those that were detached come first, while views of their frames are out.
        """
        request = driver_pb2.ListDriversRequest()
        return list(self._connection.call(self._drivers.ListDrivers, request).drivers)

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
            AlreadyExists: There is a driver of that name.
            NotFound: There is no such pool.
            RequestOutOfRange: Something is more than the daemon allows.
            ResourceExhausted: As many drivers as there may be, or the pool is too small.
        """
        request = driver_pb2.AttachEmulatedNicRequest(
            name=name, pool=pool, line=line.message(), frame_size=frame_size, stream=stream
        )
        return self._connection.call(self._drivers.AttachEmulatedNic, request).driver

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
        request = driver_pb2.AttachReplayRequest(
            name=name,
            pool=pool,
            line=line.message(),
            capture=capture,
            loops=loops,
            endless=not loops,
            original_timing=original_timing,
        )
        return self._connection.call(self._drivers.AttachReplay, request).driver

    def detach_driver(self, name: str) -> driver_pb2.Driver:
        """Detach a driver of `drivers`; views of its frames stay valid.

        Returns:
            The driver as it is now: draining while views are out, else gone.

        Raises:
            NotFound: There is no such driver.
        """
        request = driver_pb2.DetachDriverRequest(name=name)
        return self._connection.call(self._drivers.DetachDriver, request).driver

    @property
    def _drivers(self) -> driver_pb2_grpc.DriverServiceStub:
        return driver_pb2_grpc.DriverServiceStub(self._connection.channel)
