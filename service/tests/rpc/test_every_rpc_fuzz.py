"""Every RPC with requests made up from its descriptor and mutated: refused or done, no fault."""

import contextlib
import os
import random
import signal
import struct
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from attached import detach, listed
from daemon_support import PATIENCE, DaemonProcess, Stubs, eventually
from google.protobuf.descriptor import MethodDescriptor
from lease_support import Lease
from made_up import MadeUp, methods
from mutator import mutate
from skbpool.v1 import driver_pb2, lease_pb2, server_pb2

REQUESTS = int(os.environ.get("SKBPOOL_MUTATED_REQUESTS", "4000"))
CLIENTS = 4
EACH = 10_000
"""Requests to one daemon."""
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE}
GROWTH = 256 << 20
"""Bytes that a daemon of a pool of 16 MiB may grow by, whatever it is sent."""

SETTINGS = (
    "--buffers=4096",
    "--metrics=",
    "--set=limits.max_pool_bytes=67108864",
    "--set=limits.default_quota=64",
    "--set=limits.max_wait_seconds=0.01",
    "--set=limits.max_block_seconds=0.01",
    "--set=shutdown_deadline=5",
)

ENDED_HERE = {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}
"""How a call ends that its client ended: the daemon need not have said anything."""

PATHS = ("good.pcap", "folder/good.pcap", "link.pcap", "out/good.pcap", "../good.pcap", "folder")
"""What captures are named: files, symbolic links, what lies above the folder, a folder."""


def make_captures(folder: Path) -> Path:
    """Make a folder of captures, with links that lead out of it, and return its path."""
    captures = folder / "captures"
    (captures / "folder").mkdir(parents=True)
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    good = header + struct.pack("<IIII", 1, 0, 60, 60) + bytes(60)
    for place in (captures, captures / "folder", folder):
        (place / "good.pcap").write_bytes(good)
    (captures / "link.pcap").symlink_to(folder / "good.pcap")
    (captures / "out").symlink_to(folder)
    return captures


def resident(process: DaemonProcess) -> int:
    """Return the bytes of memory that a process has."""
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


class Caller:
    """One client that sends what is made up."""

    def __init__(self, address: str, seed: int):
        self.stubs = Stubs(address)
        self.dice = random.Random(seed)
        self.made_up = MadeUp(self.dice, ("default", "p", "q", "lease", "card", "tap"))
        # Callers share two of them, so that they take over each other's streams.
        self.made_up.texts["capture"] = PATHS
        self.made_up.usual["stream_id"] = bytes([seed % 2]) * 16
        self.lease = self.open()
        self.codes: Counter[tuple[str, grpc.StatusCode]] = Counter()
        self.replayed: set[str] = set()
        """Captures that could be attached."""
        self.answered: Counter[str] = Counter()
        """Calls by method that the daemon answered or ended in order: refusals are not counted."""

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stubs.channel.close()

    def open(self) -> Lease:
        """Open the session that most requests are for."""
        lease = Lease(self.stubs, "lease")
        self.made_up.usual["session_id"] = lease.id
        return lease

    def requests(self, method: MethodDescriptor) -> Iterator[bytes]:
        many = self.dice.randrange(1, 4) if method.client_streaming else 1
        for _ in range(many):
            good = self.made_up.message(method.input_type).SerializeToString()
            yield mutate(self.dice, good) if self.dice.random() < 0.4 else good

    def call(self, method: MethodDescriptor) -> None:
        """Make a call and count how it ended; what stays open is ended after its first answer."""
        name = f"{method.containing_service.full_name}/{method.name}"
        requests = list(self.requests(method))
        if name.endswith("ClosePool") and any(b"default" in request for request in requests):
            return  # the pool that the others are about
        call: Any = self.stubs.channel.stream_stream(f"/{name}")
        patience = 0.05 if method.server_streaming else PATIENCE
        stream = call(iter(requests), timeout=patience)
        answers = 0
        with contextlib.suppress(grpc.RpcError):
            for _ in stream:
                answers += 1
                if method.server_streaming:
                    break
        if method.server_streaming:
            stream.cancel()
        code = stream.code()
        assert code not in FAULTS, f"{name}: {code} {stream.details()}\n{requests!r:.2000}"
        self.codes[name, code] += 1
        if name.endswith("/AttachReplay") and code is grpc.StatusCode.OK:
            self.replayed.add(driver_pb2.AttachReplayRequest.FromString(requests[0]).capture)
        told = code not in ENDED_HERE and code is not grpc.StatusCode.INVALID_ARGUMENT
        self.answered[name] += bool(answers) or told

    def run(self, count: int) -> None:
        every = list(methods())
        for _ in range(count):
            self.call(self.dice.choice(every))
            if not self.lease.stream.is_active():
                self.lease = self.open()


def out(stubs: Stubs) -> dict[str, int]:
    """Return the buffers that are out, by pool."""
    pools = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest(), timeout=PATIENCE).pools
    return {found.pool.name: found.in_flight for found in pools if found.in_flight}


def can_replay(stubs: Stubs, path: str) -> bool:
    """Attach a capture and detach it again; return whether the daemon did."""
    name = f"sane-{PATHS.index(path)}"
    request = driver_pb2.AttachReplayRequest(name=name, capture=path)
    try:
        stubs.driver.AttachReplay(request, timeout=PATIENCE)
    except grpc.RpcError:
        return False
    with contextlib.suppress(grpc.RpcError):  # it may have ended
        detach(stubs, name)
    return True


def test_requests_made_up_for_every_rpc(tmp_path: Path) -> None:
    codes: Counter[tuple[str, grpc.StatusCode]] = Counter()
    answered: Counter[str] = Counter()
    replayed: set[str] = set()
    captures = f"--set=driver.capture_directory={make_captures(tmp_path)}"
    for start in range(0, REQUESTS, EACH):
        count = min(EACH, REQUESTS - start) // CLIENTS
        listen = f"--listen=unix:{tmp_path}/{start}.sock"
        with contextlib.ExitStack() as stack:
            log = stack.enter_context((tmp_path / f"{start}.log").open("w+"))
            daemon = stack.enter_context(
                DaemonProcess(listen, captures, *SETTINGS, errors=log)
            ).await_ready()
            before = resident(daemon)
            callers = [
                stack.enter_context(Caller(daemon.address, start + number))
                for number in range(CLIENTS)
            ]
            with ThreadPoolExecutor(CLIENTS) as threads:
                for done in [threads.submit(caller.run, count) for caller in callers]:
                    done.result()
            assert resident(daemon) - before < GROWTH
            for caller in callers:
                codes += caller.codes
                answered += caller.answered
                replayed |= caller.replayed
                caller.__exit__()
            with Stubs(daemon.address) as stubs:
                for driver in listed(stubs):
                    with contextlib.suppress(grpc.RpcError):  # detached already, and draining
                        detach(stubs, driver.name)
                eventually(partial(out, stubs), lambda found: not found)
                assert [path for path in PATHS if can_replay(stubs, path)] == [*PATHS[:2]]
                assert stubs.statistics().violations == 0
                fresh = Lease(stubs, "fresh")
                assert stubs.lease.Allocate(
                    lease_pb2.AllocateRequest(session_id=fresh.id, count=1), timeout=PATIENCE
                ).buffers
            daemon.signal(signal.SIGTERM)
            status, _, _ = daemon.finish()
            log.seek(0)
            assert (status, "Traceback" in log.read()) == (0, False)
    print(f"{sum(codes.values())} requests to {len({name for name, _ in codes})} RPCs")
    silent = sum(count for (_, code), count in codes.items() if code in ENDED_HERE)
    print(f"{sum(answered.values())} were answered, {silent} ended by their client")
    assert replayed <= set(PATHS[:2])
    assert set(answered) == {f"{rpc.containing_service.full_name}/{rpc.name}" for rpc in methods()}
