"""Drivers that tests attach, and what subscribers get of them."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from batches import frames_of
from daemon_support import PATIENCE, Stubs, eventually
from skbpool.v1 import driver_pb2, frame_pb2

GIGABIT = 1_000_000_000

State = driver_pb2.DriverState


def attach(
    stubs: Stubs, name: str = "card", *, line: dict[str, Any] | None = None, **fields: Any
) -> driver_pb2.Driver:
    """Attach an emulated card."""
    request = driver_pb2.AttachEmulatedNicRequest(
        name=name, line=driver_pb2.DriverLine(**(line or {})), **fields
    )
    return stubs.driver.AttachEmulatedNic(request, timeout=PATIENCE).driver


def replay(
    stubs: Stubs,
    capture: str,
    name: str = "replay",
    *,
    line: dict[str, Any] | None = None,
    **fields: Any,
) -> driver_pb2.Driver:
    """Attach a replay of a capture."""
    request = driver_pb2.AttachReplayRequest(
        name=name, capture=capture, line=driver_pb2.DriverLine(**(line or {})), **fields
    )
    return stubs.driver.AttachReplay(request, timeout=PATIENCE).driver


def detach(stubs: Stubs, name: str = "card") -> driver_pb2.Driver:
    """Detach a driver."""
    request = driver_pb2.DetachDriverRequest(name=name)
    return stubs.driver.DetachDriver(request, timeout=PATIENCE).driver


def listed(stubs: Stubs) -> list[driver_pb2.Driver]:
    """Return the drivers there are; what each says of its frames adds up."""
    drivers = stubs.driver.ListDrivers(driver_pb2.ListDriversRequest(), timeout=PATIENCE).drivers
    for driver in drivers:
        handled = driver.accepted_frames + dropped(driver)
        assert handled <= driver.offered_frames
        if driver.state != State.DRIVER_STATE_RUNNING:
            assert handled == driver.offered_frames
    return list(drivers)


def dropped(driver: driver_pb2.Driver) -> int:
    """Return how many frames a driver dropped itself."""
    return sum(drop.frames for drop in driver.drops)


def ended(stubs: Stubs, name: str = "card") -> driver_pb2.Driver:
    """Wait until the line of a driver is down."""

    def find() -> driver_pb2.Driver:
        return next(driver for driver in listed(stubs) if driver.name == name)

    return eventually(find, lambda driver: driver.state != State.DRIVER_STATE_RUNNING)


class Subscriber:
    """A subscriber that reads when it is told to."""

    def __init__(self, stubs: Stubs, **fields: Any):
        request = frame_pb2.SubscribeRequest(**fields)
        self.stream = stubs.frame.Subscribe(request, timeout=PATIENCE)
        self.stream.initial_metadata()
        self.frames: list[bytes] = []
        self.missed: dict[int, int] = {}

    @property
    def told(self) -> int:
        """Frames that it got or was told that it missed."""
        return len(self.frames) + sum(self.missed.values())

    def read(self, until: int | None = None) -> None:
        """Read to the end of the stream, or until it was told of so many frames."""
        while until is None or self.told < until:
            response = next(self.stream, None)
            if response is None:
                return
            self.frames.extend(frames_of(response.batch))
            for drop in response.missed:
                self.missed[drop.reason] = self.missed.get(drop.reason, 0) + drop.frames


def write_pcap(path: Path, frames: Iterable[bytes]) -> None:
    """Write a capture, by hand: frames a microsecond apart."""
    path.write_bytes(b"".join(_pcap(frames)))


def _pcap(frames: Iterable[bytes]) -> Iterator[bytes]:
    yield struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    for number, frame in enumerate(frames):
        yield struct.pack("<IIII", 1_700_000_000, number, len(frame), len(frame)) + frame
