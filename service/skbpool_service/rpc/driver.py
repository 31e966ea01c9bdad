"""skbpool.v1.DriverService: emulated cards and replays, attached and detached at run time."""

import os
from functools import partial
from typing import Any

import grpc
import skbpool
from skbpool._native import NicDriver
from skbpool.v1 import driver_pb2

from skbpool_service.captures import bad_capture, open_capture
from skbpool_service.drivers import Drivers, Plan, Standing
from skbpool_service.engine import Engine
from skbpool_service.pools import pool_closed
from skbpool_service.refusal import Refusal, bad_request, check_name, out_of_range
from skbpool_service.rpc.convert import drops
from skbpool_service.rpc.durations import NANOSECONDS, nanoseconds, seconds_at_most, written
from skbpool_service.rpc.table import MethodTable

SERVICE = driver_pb2.DESCRIPTOR.services_by_name["DriverService"].full_name

NIC = "emulated_nic"
REPLAY = "replay"

LEAST_SIZE = 64
FCS_BYTES = 4
WIRE_OVERHEAD = 20
"""Bytes of preamble and gap beside a frame on the wire."""

MOST_DESCRIPTORS = 65_536
DEFAULT_DESCRIPTORS = 512
RINGS = 16
"""Part of the pool that a ring is by default, if that is less."""

LONGEST = 365 * 86_400
"""Seconds that a line may be told to be up."""


class DriverService:
    """The service over the drivers of one daemon."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._drivers: Drivers = engine.drivers
        self._limits = engine.settings.limits

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(
            SERVICE, "AttachEmulatedNic", driver_pb2.AttachEmulatedNicRequest, self.attach_nic
        )
        table.add_unary(SERVICE, "AttachReplay", driver_pb2.AttachReplayRequest, self.attach_replay)
        table.add_unary(SERVICE, "DetachDriver", driver_pb2.DetachDriverRequest, self.detach)
        table.add_unary(SERVICE, "ListDrivers", driver_pb2.ListDriversRequest, self.list_drivers)

    def attach_nic(
        self, request: driver_pb2.AttachEmulatedNicRequest
    ) -> driver_pb2.AttachEmulatedNicResponse:
        """Answer AttachEmulatedNic."""
        check_name(request.name, "driver")
        size = request.frame_size or LEAST_SIZE
        most = self._limits.max_frame_bytes + FCS_BYTES
        if not LEAST_SIZE <= size <= most:
            raise out_of_range(
                f"a frame has {LEAST_SIZE} to {most} bytes with its check sequence "
                f"(limits.max_frame_bytes = {self._limits.max_frame_bytes}), not {size}"
            )
        plan = Plan(request.name, NIC, self._engine.pools.get_open(request.pool))
        line = self._line(request.line, plan.pool, size)
        standing = self._attach(plan, **line, size=size, stream=request.stream)
        return driver_pb2.AttachEmulatedNicResponse(driver=driver_message(standing))

    def attach_replay(
        self, request: driver_pb2.AttachReplayRequest
    ) -> driver_pb2.AttachReplayResponse:
        """Answer AttachReplay."""
        check_name(request.name, "driver")
        if request.endless and request.loops:
            raise bad_request("an endless replay has no number of loops; leave one of them out")
        pool = self._engine.pools.get_open(request.pool)
        plan = Plan(request.name, REPLAY, pool, request.capture)
        line = self._line(request.line, pool, None)
        directory = self._engine.settings.driver.capture_directory
        capture = open_capture(directory, request.capture)
        try:
            standing = self._attach(
                plan,
                **line,
                capture=capture,
                capture_name=request.capture,
                loops=0 if request.endless else request.loops or 1,
                original_timing=request.original_timing,
            )
        except skbpool.CaptureError as error:
            raise bad_capture(request.capture, f"cannot be replayed: {error}") from None
        finally:
            os.close(capture)
        return driver_pb2.AttachReplayResponse(driver=driver_message(standing))

    def _attach(self, plan: Plan, **settings: Any) -> Standing:
        make = partial(NicDriver, self._engine.hub, plan.pool, plan.name, **settings)
        try:
            return self._drivers.attach(plan, make)
        except skbpool.PoolClosed:
            if plan.pool.is_closed:
                raise pool_closed(plan.pool) from None
            raise
        except OSError as error:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise Refusal(code, "OUT_OF_THREADS", str(error)) from None

    def _line(
        self, line: driver_pb2.DriverLine, pool: skbpool.Pool, size: int | None
    ) -> dict[str, Any]:
        """Return the settings of a line for frames of `size` bytes, None: of any; or Refusal."""
        ring = line.descriptors or min(DEFAULT_DESCRIPTORS, max(pool.count // RINGS, 1))
        if ring > MOST_DESCRIPTORS:
            raise out_of_range(f"a ring has 1 to {MOST_DESCRIPTORS} descriptors, not {ring}")
        settings: dict[str, Any] = {"rate": self._rate(line, size), "ring": ring}
        if line.frames:
            settings["frames"] = line.frames
        if line.HasField("duration"):
            duration = nanoseconds("duration", line.duration)
            if not 0 < duration <= LONGEST * NANOSECONDS:
                raise out_of_range(
                    f"a line is up for more than 0 and up to {LONGEST} seconds, "
                    f"not {written(duration)}",
                    field="line.duration",
                )
            settings["duration"] = duration / NANOSECONDS
        if line.HasField("block_at_most"):
            settings["may_block"] = seconds_at_most(
                "block_at_most",
                line.block_at_most,
                self._limits.max_driver_block_seconds,
                "limits.max_driver_block_seconds",
            )
        return settings

    def _rate(self, line: driver_pb2.DriverLine, size: int | None) -> str:
        """Return the rate as the engine reads it, or raise Refusal."""
        most = self._limits.max_driver_bits_per_second
        chosen = line.WhichOneof("rate")
        if chosen is None:
            return f"{most}bps"
        if chosen == "bits_per_second":
            if not 1 <= line.bits_per_second <= most:
                raise out_of_range(
                    f"a line has 1 to {most} bits a second (limits.max_driver_bits_per_second), "
                    f"not {line.bits_per_second}"
                )
            return f"{line.bits_per_second}bps"
        frames = self._limits.max_driver_frames_per_second
        if size is not None:
            frames = min(frames, most // ((size + WIRE_OVERHEAD) * 8))
        if not 1 <= line.frames_per_second <= frames:
            raise out_of_range(
                f"this line has 1 to {frames} frames a second (limits.max_driver_frames_per_second "
                f"and limits.max_driver_bits_per_second), not {line.frames_per_second}"
            )
        return f"{line.frames_per_second}pps"

    def detach(self, request: driver_pb2.DetachDriverRequest) -> driver_pb2.DetachDriverResponse:
        """Answer DetachDriver."""
        standing = self._drivers.detach(request.name)
        return driver_pb2.DetachDriverResponse(driver=driver_message(standing))

    def list_drivers(
        self, _request: driver_pb2.ListDriversRequest
    ) -> driver_pb2.ListDriversResponse:
        """Answer ListDrivers."""
        return driver_pb2.ListDriversResponse(drivers=map(driver_message, self._drivers.all()))


def driver_message(standing: Standing) -> driver_pb2.Driver:
    """Return how a driver stands as a message."""
    plan, report = standing.plan, standing.report
    message = driver_pb2.Driver(
        name=plan.name,
        kind=driver_pb2.DriverKind.Value(f"DRIVER_KIND_{plan.kind.upper()}"),
        state=driver_pb2.DriverState.Value(f"DRIVER_STATE_{standing.state.upper()}"),
        pool=plan.pool.name,
        capture=plan.capture,
        error=report["error"] or "",
        offered_frames=report["offered"],
        accepted_frames=report["accepted"],
        accepted_bytes=report["accepted_bytes"],
        unclaimed_frames=report["unclaimed"],
        drops=drops(report["dropped"]),
        late_frames=report["late"],
        wire_bits=report["wire_bits"],
        views_out=standing.views_out,
        buffers_out=standing.buffers_out,
    )
    message.up.FromNanoseconds(int(report["seconds"] * NANOSECONDS))
    return message
