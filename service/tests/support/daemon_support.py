"""Daemons for tests: in this process, and as processes of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar, cast

import grpc
from skbpool.v1 import (
    driver_pb2_grpc,
    frame_pb2_grpc,
    holder_pb2_grpc,
    lease_pb2_grpc,
    pool_pb2,
    pool_pb2_grpc,
    server_pb2_grpc,
    stamp_pb2_grpc,
    watch_pb2_grpc,
)

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds after which something that was waited for will not come; reaching it fails the test."""

SUPPORT = Path(__file__).parent


def eventually(
    probe: Callable[[], T], good: Callable[[T], bool] = bool, patience: float = PATIENCE
) -> T:
    """Ask `probe` until its answer is `good`; fail with the last answer if it never is."""
    deadline = time.monotonic() + patience
    while True:
        answer = probe()
        if good(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {patience:g} s")
        time.sleep(0.01)  # between two looks


class Stubs:
    """A channel to a daemon and the stubs of every service."""

    def __init__(self, address: str):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self.channel = grpc.insecure_channel(address, options=options)
        self.server = server_pb2_grpc.ServerServiceStub(self.channel)
        self.pool = pool_pb2_grpc.PoolServiceStub(self.channel)
        self.holder = holder_pb2_grpc.HolderServiceStub(self.channel)
        self.lease = lease_pb2_grpc.LeaseServiceStub(self.channel)
        self.frame = frame_pb2_grpc.FrameServiceStub(self.channel)
        self.stamp = stamp_pb2_grpc.StampServiceStub(self.channel)
        self.watch = watch_pb2_grpc.WatchServiceStub(self.channel)
        self.driver = driver_pb2_grpc.DriverServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.channel.close()

    def raw(self, method: str, message: bytes) -> bytes:
        """Make a unary call with bytes of one's own."""
        call: Any = self.channel.unary_unary(method)
        return bytes(call(message, timeout=PATIENCE))

    def raw_stream(self, method: str, messages: Iterable[bytes]) -> list[bytes]:
        """Make a streaming call with bytes of one's own, to its end."""
        call: Any = self.channel.stream_stream(method)
        return list(call(iter(messages), timeout=PATIENCE))

    def statistics(self, pool: str = "default") -> pool_pb2.PoolStatistics:
        """Return the counters of a pool."""
        request = pool_pb2.GetPoolStatisticsRequest(name=pool)
        return self.pool.GetPoolStatistics(request, timeout=PATIENCE).statistics

    def await_home(self, pool: str = "default", patience: float = PATIENCE) -> None:
        """Wait until every buffer of a pool is home and nothing of it is promised."""
        eventually(
            lambda: self.statistics(pool),
            lambda found: found.in_flight == 0 and found.reserved == 0,
            patience,
        )


class DaemonProcess:
    """`skbpool serve` as a process.

    Nobody reads the pipe of standard error until the end: who has it write much gives a file for
    it, or finds lines of the log missing.
    """

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        errors: IO[str] | int = subprocess.PIPE,
    ):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skbpool_service", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.ready: dict[str, Any] = {}

    def await_ready(self) -> Self:
        """Wait for the line that says it serves; fail with its errors if it ends instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the daemon ended: {self.finish()}")
        self.ready = json.loads(line)
        return self

    @property
    def address(self) -> str:
        """The first address it listens on."""
        return str(self.ready["listen"][0])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def finish(self) -> tuple[int, str, str]:
        """Wait until it ends; return exit code, standard output and standard error."""
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def child(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a client process (see child.py) and wait until it says that it is set up."""
    process = subprocess.Popen(
        [sys.executable, str(SUPPORT / "child.py"), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def refusal(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """Return code and details of a call that is refused; fail if it is not."""
    try:
        answer = call()
        # A stream is refused when it is read.
        if isinstance(answer, Iterator):
            answer = next(answer)
    except grpc.RpcError as error:
        call_of = cast("grpc.Call", error)
        return call_of.code(), call_of.details() or ""
    raise AssertionError(f"not refused: {answer!r}")
