"""The two servers that are compared, and what is checked at each."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import grpc
from private_daemon import PrivateDaemon, Signals
from skbpool.v1 import server_pb2, server_pb2_grpc, stamp_pb2, stamp_pb2_grpc

from rpc.bulk import SUBSCRIBER_QUOTA

HERE = Path(__file__).resolve().parent
STREAMS = 64
"""Streams of the widest sample."""
READER_QUOTA = 16_384
PATIENCE = 30.0
ROUNDING = 0.01

QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}

Answer = dict[str, Any]


class Mismatch(Exception):
    """Not everything that was sent was received."""


class Client:
    """The process that drives a server."""

    def __init__(self, signals: Signals) -> None:
        with signals.held():
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "client.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def do(self, job: str, **arguments: Any) -> Answer:
        """Have a job done and return what the client says of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"job": job, **arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the client ended; what it said is above")
        answer: Answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{job}: {answer['error']}")
        return answer


class Server(Protocol):
    """One of the two servers."""

    pid: int
    ingest_method: str
    allocate_methods: ClassVar[dict[int, str]]
    release_method: str
    leases: bool
    """Whether a session has to be opened for a lease."""

    def address(self, transport: str) -> str:
        """Return where it listens, `unix` or `tcp`."""

    def counted(self) -> AbstractContextManager["Counter"]:
        """Return what checks, within the context, that everything sent is received."""

    def echo_methods(self) -> dict[str, str]:
        """Return how everything that goes in comes out again."""

    def stamped_method(self) -> str:
        """Return the method that takes messages with stamps."""


class Counter:
    """Compares what a server says of a stream with what the client sent."""

    def latency(self, answer: Answer) -> dict[str, float]:
        """Return p50, p99 and p999 in seconds, from what the bare server told of each message."""
        seconds = sorted(answer["told"])
        return {
            name: seconds[min(int(len(seconds) * share), len(seconds) - 1)]
            for name, share in QUANTILES.items()
        }

    def check(self, answer: Answer) -> None:
        """Raise Mismatch unless the bare server took as many bytes as were sent."""
        if answer["accepted"] != answer["bytes"]:
            raise Mismatch(f"sent {answer['bytes']:,} bytes, received {answer['accepted']:,}")


class Bare:
    """`bench/peers/grpc_bare.py` as a process."""

    ingest_method = "/bare/Ingest"
    allocate_methods: ClassVar = {1: "/bare/Unary1", 64: "/bare/Unary64"}
    release_method = "/bare/Unary1"
    leases = False

    def __init__(self, folder: Path, signals: Signals) -> None:
        peer = HERE.parent / "peers" / "grpc_bare.py"
        with signals.held():
            self._process = subprocess.Popen(
                [sys.executable, str(peer), f"unix:{folder}/bare.sock", "127.0.0.1:0"],
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise RuntimeError("the bare server ended; what it said is above")
        self._listen: list[str] = json.loads(line)["listen"]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def address(self, transport: str) -> str:
        """Return where it listens."""
        return self._listen[transport == "tcp"]

    def stamped_method(self) -> str:
        """Return the method that looks at stamps."""
        return "/bare/Stamped"

    @contextmanager
    def counted(self) -> Iterator[Counter]:
        """Compare bytes."""
        yield Counter()

    def echo_methods(self) -> dict[str, str]:
        """Return the method that sends everything back."""
        return {"method": "/bare/Echo"}


class Ours:
    """The daemon as a process, with listeners of both kinds."""

    ingest_method = "/skbpool.v1.FrameService/Ingest"
    allocate_methods: ClassVar = dict.fromkeys((1, 64), "/skbpool.v1.LeaseService/Allocate")
    release_method = "/skbpool.v1.LeaseService/Release"
    leases = True

    def __init__(self, _folder: Path, signals: Signals) -> None:
        settings = [
            f"limits.max_ingest_streams={STREAMS + 16}",
            "limits.max_streams=16",
            f"limits.max_quota={SUBSCRIBER_QUOTA}",
        ]
        options = [flag for setting in settings for flag in ("--set", setting)]
        self._daemon = PrivateDaemon(signals, ["--listen", "127.0.0.1:0", *options])
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self._daemon)
            self.pid: int = self._daemon.listening["pid"]
            channel = self._stack.enter_context(grpc.insecure_channel(self.address("unix")))
            self._stamps = stamp_pb2_grpc.StampServiceStub(channel)
            self._server = server_pb2_grpc.ServerServiceStub(channel)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, transport: str) -> str:
        """Return where it listens."""
        return str(self._daemon.listening["listen"][transport == "tcp"])

    @contextmanager
    def counted(self) -> Iterator[Counter]:
        """Attach a consumer that gets every frame as an skb and reads its header."""
        request = stamp_pb2.AttachStampReaderRequest(stream=STREAM, quota=READER_QUOTA, inline=True)
        stream = self._stamps.AttachStampReader(request)
        try:
            yield FrameCounter(self._stamps, next(stream).reader_id)
        finally:
            stream.cancel()
            self._settle()

    def echo_methods(self) -> dict[str, str]:
        """Return the methods in and out."""
        return {"method": self.ingest_method, "subscribe": "/skbpool.v1.FrameService/Subscribe"}

    def stamped_method(self) -> str:
        """Return the method whose frames the reader reads."""
        return self.ingest_method

    def _settle(self) -> None:
        """Wait until every buffer is home, so that samples do not meet."""
        deadline = time.monotonic() + PATIENCE
        request = server_pb2.GetStatisticsRequest()
        while time.monotonic() < deadline:
            pools = self._server.GetStatistics(request, timeout=PATIENCE).pools
            if not any(pool.in_flight or pool.reserved for pool in pools):
                return
            time.sleep(ROUNDING)
        raise Mismatch(f"buffers are not home {PATIENCE:g} s after a stream ended")


STREAM = 1
"""Stamped stream that the reader looks for."""


class FrameCounter(Counter):
    """A reader in the daemon, which saw every frame or did not."""

    def __init__(self, stamps: stamp_pb2_grpc.StampServiceStub, reader_id: str) -> None:
        self._stamps = stamps
        self._request = stamp_pb2.GetStampReportRequest(reader_id=reader_id)

    def check(self, answer: Answer) -> None:
        """Raise Mismatch unless the reader read as many frames as were sent."""
        deadline = time.monotonic() + PATIENCE
        while True:
            report = self.report()
            seen = report.received + report.foreign
            missed = {str(count.reason): count.frames for count in report.dropped}
            if seen + sum(missed.values()) >= answer["accepted"] or time.monotonic() > deadline:
                break
            time.sleep(ROUNDING)
        if not seen == answer["accepted"] == answer["frames"]:
            raise Mismatch(
                f"sent {answer['frames']:,} frames, landed {answer['accepted']:,}, read {seen:,}; "
                f"missed by reason {missed}"
            )

    def latency(self, answer: Answer) -> dict[str, float]:
        """Return p50, p99 and p999 in seconds of the last frame of each message."""
        self.check(answer)
        report = self.report()
        if report.latency_count != answer["messages"]:
            raise Mismatch(f"{report.latency_count} stamps of {answer['messages']} messages")
        return {name: getattr(report, f"latency_{name}_seconds") for name in QUANTILES}

    def report(self) -> stamp_pb2.GetStampReportResponse:
        """Return what the reader saw so far."""
        return self._stamps.GetStampReport(self._request, timeout=PATIENCE)
