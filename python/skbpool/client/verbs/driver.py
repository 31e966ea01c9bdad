"""Verbs of the drivers inside the daemon."""

from dataclasses import dataclass

from skbpool._native import parse_rate
from skbpool.client.request import duration_of, request_of
from skbpool.client.verbs.verb import Verb
from skbpool.v1 import driver_pb2

SERVICE = "/skbpool.v1.DriverService/"


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
        """Return it as a message.

        Raises:
            ValueError: The rate is none, or a time.
            OutOfRange: A number has no place in its field.
        """
        line = request_of(driver_pb2.DriverLine, frames=self.frames, descriptors=self.ring)
        if not isinstance(self.rate, str):
            raise TypeError(f"rate is a text, as in '1Gbps', not {type(self.rate).__name__}")
        match parse_rate(self.rate):
            case ("bits_per_second", bits):
                line.bits_per_second = bits
            case ("frames_per_second", frames):
                line.frames_per_second = frames
        if self.duration is not None:
            line.duration.CopyFrom(duration_of("duration", self.duration))
        if self.block_at_most is not None:
            line.block_at_most.CopyFrom(duration_of("block_at_most", self.block_at_most))
        return line


AS_FAST_AS_MAY_BE = Line()


def _message(line: object) -> driver_pb2.DriverLine:
    if not isinstance(line, Line):
        raise TypeError(f"line is a Line, as in Line('1Gbps', frames=10), not {line!r}")
    return line.message()


def drivers() -> Verb[list[driver_pb2.Driver]]:
    """Ask for the drivers that clients attached."""
    request, response = driver_pb2.ListDriversRequest(), driver_pb2.ListDriversResponse
    return Verb(f"{SERVICE}ListDrivers", request, response, lambda answer: list(answer.drivers))


def attach_nic(
    name: str, line: Line, frame_size: int, stream: int, pool: str
) -> Verb[driver_pb2.Driver]:
    """Have an emulated card attached."""
    request = request_of(
        driver_pb2.AttachEmulatedNicRequest,
        name=name,
        pool=pool,
        line=_message(line),
        frame_size=frame_size,
        stream=stream,
    )
    response = driver_pb2.AttachEmulatedNicResponse
    return Verb(f"{SERVICE}AttachEmulatedNic", request, response, lambda answer: answer.driver)


def attach_replay(
    name: str, capture: str, line: Line, loops: int, original_timing: bool, pool: str
) -> Verb[driver_pb2.Driver]:
    """Have a replay attached."""
    request = request_of(
        driver_pb2.AttachReplayRequest,
        name=name,
        pool=pool,
        line=_message(line),
        capture=capture,
        loops=loops,
        endless=not loops,
        original_timing=original_timing,
    )
    response = driver_pb2.AttachReplayResponse
    return Verb(f"{SERVICE}AttachReplay", request, response, lambda answer: answer.driver)


def detach_driver(name: str) -> Verb[driver_pb2.Driver]:
    """Have a driver detached."""
    request = request_of(driver_pb2.DetachDriverRequest, name=name)
    response = driver_pb2.DetachDriverResponse
    return Verb(f"{SERVICE}DetachDriver", request, response, lambda answer: answer.driver)
