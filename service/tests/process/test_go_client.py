"""A client in Go, made of what is generated from proto/ alone: no private codec is needed."""

import random
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import skbpool
from capture_parser import Captured, read_capture
from certificates import Authority
from daemon_support import DaemonProcess, Stubs, eventually
from go_client import Ended, GoClient, build
from lease_support import BUFFER, Lease
from secure_daemon import daemon_with, port
from skbpool.client import Frame
from skbpool.v1 import frame_pb2, holder_pb2, server_pb2

# The first of them builds the client, with its modules if they have to be fetched.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

FRAMES = 100_000
BUFFERS = 1024
ETHERNET = 1


@pytest.fixture(scope="session")
def program(go_module: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(go_module, tmp_path_factory.mktemp("go"))


class Served(NamedTuple):
    """A daemon and what reaches it."""

    daemon: DaemonProcess
    stubs: Stubs
    start: Callable[..., GoClient]

    def run(self, *arguments: str) -> Ended:
        with self.start(*arguments) as client:
            return client.finish()


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"unix:{tmp_path}/daemon.sock" if request.param == "unix" else "127.0.0.1:0"


def serve(program: Path, address: str, *arguments: str) -> Iterator[Served]:
    with DaemonProcess("--listen", address, "--metrics", "", *arguments) as daemon:
        where = daemon.await_ready().address
        with Stubs(where) as stubs:
            yield Served(daemon, stubs, lambda *flags: GoClient(program, where, *flags))


@pytest.fixture
def roomy(program: Path, address: str) -> Iterator[Served]:
    """Serve with a pool in which a consumer may hold all the frames, so that it misses none."""
    yield from serve(program, address, "--set", f"limits.max_quota={FRAMES}")


@pytest.fixture
def small(program: Path, tmp_path: Path) -> Iterator[Served]:
    limits = ("default_quota=64", f"max_message_bytes={1 << 20}")
    flags = [word for limit in limits for word in ("--set", f"limits.{limit}")]
    yield from serve(program, f"unix:{tmp_path}/daemon.sock", "--buffers", str(BUFFERS), *flags)


def made(number: int) -> list[Captured]:
    """Return frames of all sizes up to a buffer's and some larger, some of them cut short."""
    dice = random.Random(4)
    content = dice.randbytes(20_000)
    frames = []
    for at in range(number):
        size = dice.choice(
            (dice.randrange(200), 60, 60, dice.randrange(10_000) if at % 50 == 0 else 64)
        )
        begin = dice.randrange(10_000)
        time_ns = 1_700_000_000 * 10**9 + at * 10**6 + dice.randrange(10**6)
        original = size + (dice.randrange(1000) if at % 11 == 0 else 0)
        frames.append(Captured(time_ns, ETHERNET, original, content[begin : begin + size]))
    return frames


def write_pcap(path: Path, frames: list[Captured]) -> Path:
    """Write a pcap file with times in nanoseconds."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, ETHERNET))
        for frame in frames:
            seconds, rest = divmod(frame.timestamp_ns, 10**9)
            size = len(frame.data)
            file.write(struct.pack("<4I", seconds, rest, size, frame.original_length) + frame.data)
    return path


def subscribe(stubs: Stubs, quota: int) -> Iterator[frame_pb2.SubscribeResponse]:
    """Subscribe; return the responses when the daemon says that it has begun."""
    request = frame_pb2.SubscribeRequest(name="python", quota=quota)
    stream = stubs.frame.Subscribe(request, timeout=120)
    stream.initial_metadata()
    return stream


def taken(stream: Iterator[frame_pb2.SubscribeResponse], number: int) -> list[Captured]:
    """Take so many frames out of what is generated from the proto, and nothing else."""
    frames: list[Captured] = []
    while len(frames) < number:
        response = next(stream)
        assert not response.missed
        batch = response.batch
        times = batch.time_offset_ns or [0] * len(batch.length)
        at = 0
        for size, offset, original in zip(
            batch.length, times, batch.original_length or batch.length, strict=True
        ):
            data = batch.frames[at : at + size]
            frames.append(Captured(batch.base_time_ns + offset, batch.link_type, original, data))
            at += size
    return frames


def test_go_ingests_a_capture_and_python_takes_it_byte_for_byte(
    roomy: Served, tmp_path: Path
) -> None:
    frames = made(FRAMES)
    stream = subscribe(roomy.stubs, FRAMES)
    file = write_pcap(tmp_path / "in.pcap", frames)
    result = roomy.run("ingest", "-r", str(file), "-driver", "go").result
    counts = [result[key] for key in ("frames", "accepted", "unclaimed", "dropped", "missed")]
    assert counts == [FRAMES, FRAMES, 0, {}, {}]
    assert result["acked_through"] == result["batches"] > 1
    assert taken(stream, FRAMES) == frames


def test_go_tells_what_consumers_missed(small: Served) -> None:
    stream = subscribe(small.stubs, 16)  # which is never read
    result = small.run("ingest", "-c", str(FRAMES)).result
    with skbpool.Client(small.daemon.address) as python:
        (consumer,) = python.statistics().consumers
    missed = sum(drop.frames for drop in consumer.drops)
    assert (result["accepted"], sum(result["missed"].values())) == (FRAMES, missed)
    assert missed > 0
    assert next(stream).batch.length


def test_go_takes_what_python_ingests_byte_for_byte(roomy: Served, tmp_path: Path) -> None:
    frames = made(FRAMES)
    file = tmp_path / "out.pcap"
    flags = ("-w", str(file), "-c", str(FRAMES), "-quota", str(FRAMES))
    with (
        roomy.start("subscribe", *flags) as client,
        skbpool.Client(roomy.daemon.address) as python,
    ):
        client.await_line("subscribed")
        report = python.ingest(Frame(f.data, f.timestamp_ns, f.original_length) for f in frames)
        assert report.accepted == FRAMES
        result = client.finish().result
    assert (result["frames"], result["missed"]) == (FRAMES, {})
    assert result["bytes"] == sum(len(frame.data) for frame in frames)
    assert read_capture(file) == frames


def test_frames_that_go_makes_reach_go(small: Served) -> None:
    with small.start("subscribe", "-c", "50") as client:
        client.await_line("subscribed")
        result = small.run("ingest", "-c", "50", "-size", "1500").result
        assert (result["accepted"], result["unclaimed"]) == (50, 0)
        assert client.finish().result["bytes"] == 50 * 1500


def test_go_tells_what_it_missed(small: Served) -> None:
    sent = 0

    def consumer() -> server_pb2.ConsumerStatistics:
        answer = small.stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
        return answer.consumers[0]

    def misses() -> int:
        nonlocal sent
        sent += small.run("ingest", "-c", "2000", "-size", "1500").result["accepted"]
        return sum(drop.frames for drop in consumer().drops)

    with small.start("subscribe", "-quota", "64") as client:
        client.await_line("subscribed").signal(signal.SIGSTOP)
        eventually(misses)
        client.signal(signal.SIGCONT)
        eventually(lambda: consumer().held == 0)
        small.daemon.signal(signal.SIGTERM)
        ended = client.finish()
    result = ended.result
    assert list(result["missed"]) == ["quota"]
    assert result["frames"] + result["missed"]["quota"] == sent


def test_a_damaged_capture_is_ingested_up_to_its_fault(small: Served, tmp_path: Path) -> None:
    file = write_pcap(tmp_path / "in.pcap", made(100))
    file.write_bytes(file.read_bytes()[:-1])
    ended = small.run("ingest", "-r", str(file))
    assert (ended.code, ended.errors) == (6, "skbpool-go: record 100: the file ends within it\n")
    assert '"accepted":99' in ended.output


def test_go_allocates_writes_reads_and_lets_go(small: Served) -> None:
    # More than fit one message: the client splits what it writes and reads.
    result = small.run("allocate", "-n", "512", "-size", str(BUFFER), "-name", "go").result
    assert result == {
        "session": "go",
        "buffers": 512,
        "buffer_bytes": BUFFER,
        "written": 512 * BUFFER,
        "skbs": 512,
        "read_back": 512 * BUFFER,
        "released": 512,
    }
    small.stubs.await_home()


def test_a_refusal_is_shown_with_its_details(small: Served) -> None:
    lease = Lease(small.stubs, "greedy")
    lease.allocate(1000)
    ended = small.run("allocate", "-n", "100", "-wait", "10ms")
    first, details = ended.refusal
    assert ended.code == 5
    assert first.startswith("skbpool-go: RESOURCE_EXHAUSTED: ")
    assert details["google.rpc.ErrorInfo"]["reason"] == "POOL_EXHAUSTED"
    assert details["google.rpc.RetryInfo"]["retryDelay"] == "0.100s"
    exhaustion = details["skbpool.v1.PoolExhaustion"]
    assert (exhaustion["requested"], exhaustion["inFlight"]) == (100, 1000)
    assert exhaustion["holders"][0]["name"] == "greedy"
    assert lease.release(*lease.allocate(24)) == 24  # nothing of the refused call stayed


def test_go_says_that_it_subscribed_when_it_is_so(small: Served, tmp_path: Path) -> None:
    refused = small.run("subscribe", "-quota", str(1 << 30))
    assert refused.code == 5
    assert refused.refusal[0].startswith("skbpool-go: OUT_OF_RANGE: ")
    nowhere = small.run("subscribe", "-w", str(tmp_path / "no" / "out.pcap"))
    assert nowhere.code != 0
    (line,) = nowhere.errors.splitlines()
    assert "no such file" in line
    kept = tmp_path / "kept.pcap"
    kept.write_bytes(b"of before")
    assert small.run("subscribe", "-quota", str(1 << 30), "-w", str(kept)).code == 5
    assert kept.read_bytes() == b"of before"


@contextmanager
def at_work(served: Served) -> Iterator[tuple[GoClient, GoClient]]:
    """Start a client that holds 200 skbs, and one that sends without end."""
    with (
        served.start("allocate", "-n", "200", "-hold") as holder,
        served.start("ingest", "-c", str(1 << 60)) as driver,
    ):
        holder.await_line("holding")

        def frames() -> int:
            answer = served.stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
            return sum(driver.frames for driver in answer.drivers)

        eventually(frames)
        assert served.stubs.statistics().in_flight >= 200
        yield holder, driver


def test_what_a_killed_client_leased_and_sent_comes_home(small: Served) -> None:
    with at_work(small) as clients:
        for client in clients:
            client.signal(signal.SIGKILL)
        small.stubs.await_home()
    assert not small.stubs.holder.ListHolders(holder_pb2.ListHoldersRequest()).holders


def test_a_client_that_is_told_to_end_lets_go(small: Served) -> None:
    with at_work(small) as (holder, driver):
        holder.signal(signal.SIGINT)
        assert holder.finish().result["skbs"] == 200
        driver.signal(signal.SIGTERM)
        result = driver.finish().result
        assert result["accepted"] == result["frames"] > 0
        small.stubs.await_home()


def test_go_is_told_that_its_session_was_revoked(small: Served) -> None:
    with small.start("allocate", "-n", "200", "-name", "go", "-hold") as holder:
        holder.await_line("holding")
        request = holder_pb2.RevokeSessionRequest(name="go", reason="tidying up")
        assert small.stubs.holder.RevokeSession(request).handles == 200
        ended = holder.finish()
    first, details = ended.refusal
    assert ended.code == 5
    assert first.startswith("skbpool-go: ABORTED: ")
    assert "tidying up" in first
    assert details["google.rpc.ErrorInfo"]["reason"] == "SESSION_REVOKED"


def test_go_speaks_tls_and_shows_a_certificate(program: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    leaf = authority.ca.issue_cert("go.test")
    certificate, key = authority.write(leaf, "go")
    named = ("-tls-certificate", certificate, "-tls-private-key", key)

    def run(*flags: str) -> Ended:
        ca = ("-tls-ca", authority.client_ca)
        with GoClient(program, daemon.addresses[0], "ingest", "-c", "10", *ca, *flags) as client:
            return client.finish()

    roles = {"go.test": ["ingest"]}
    with daemon_with(port(authority, client_ca=True), roles=roles) as daemon:
        assert run(*named).result["accepted"] == 10
        nobody = run()
        assert (nobody.code, nobody.refusal[0][:24]) == (4, "skbpool-go: UNAVAILABLE:")
