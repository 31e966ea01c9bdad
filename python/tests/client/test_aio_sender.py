"""skbpool.aio's Sender, and real daemons that are cut off, stopped and killed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import skbpool.aio
from line import Line
from skbpool.client import (
    Cancelled,
    DeadlineExceeded,
    IngestResult,
    RequestOutOfRange,
    ServerUnavailable,
)
from skbpool_processes import DEADLINE, Daemon

pytestmark = pytest.mark.e2e

SIZE = 64


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with serve(tmp_path) as running:
        yield running


def serve(folder: Path) -> Daemon:
    return Daemon(folder, "--buffers", "16384", "--set", "limits.max_frame_bytes=2000")


def numbered(first: int, count: int) -> list[bytes]:
    return [number.to_bytes(4, "big") * (SIZE // 4) for number in range(first, first + count)]


def run(test: Awaitable[None]) -> None:
    """Run a test to its end, within the deadline."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await test

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Look at `condition` until it holds; the run's deadline bounds it."""
    while not condition():
        await asyncio.sleep(0.005)


def complete(result: IngestResult, frames: int) -> None:
    """Everything was handled, once."""
    assert (result.given, result.sent, result.acknowledged) == (frames, frames, frames)
    assert (result.accepted, result.waiting, result.lost) == (frames, 0, 0)
    assert (result.maybe_twice, result.restarts, result.dropped) == (0, 0, {})


def test_a_lost_connection_costs_nothing_and_doubles_nothing(
    daemon: Daemon, tmp_path: Path
) -> None:
    async def test(line: Line) -> None:
        async with (
            skbpool.aio.Client(daemon.address) as near,
            near.subscribe("tap", quota=8000) as tap,
            skbpool.aio.Client(line.address) as far,
        ):
            async with far.ingest(driver="cut", linger=0) as sender:
                for number in range(0, 3000, 50):
                    if number % 1000 == 500:
                        await until(lambda: sender.result.acknowledged == sender.result.given)
                        line.cut()
                    await sender.send(numbered(number, 50))
            complete(sender.result, 3000)
            assert sender.result.reconnections == 3
            found: list[int] = []
            async for batch in tap:
                found += [int.from_bytes(bytes(skb)[:4], "big") for skb in batch]
                if len(found) >= 3000:
                    break
            assert found == list(range(3000))
            with pytest.raises(ValueError, match="closed"):
                await sender.send(b"late")

    with Line(tmp_path / "line.sock", daemon.address) as line:
        run(test(line))


def test_frames_wait_for_company_for_the_linger_and_no_longer(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            async with client.ingest(linger=3600) as patient:
                await patient.send(numbered(0, 10))
                assert (patient.result.sent, patient.result.waiting) == (0, 10)
                assert (await patient.flush()).acknowledged == 10
            async with client.ingest(linger=0.01) as quick:
                await quick.send(b"alone")
                await until(lambda: quick.result.acknowledged == 1)
            with pytest.raises(ValueError, match="not open"):
                await client.ingest().send(b"early")

    run(test())


def test_a_killed_daemon_leaves_frames_in_doubt_which_is_told(tmp_path: Path) -> None:
    async def test(first: Daemon) -> None:
        async with skbpool.aio.Client(first.address) as client:
            sender = await client.ingest().open()
            await sender.send(numbered(0, 100))
            await sender.flush()
            first.signal(signal.SIGSTOP)
            await sender.send(numbered(100, 50))
            await until(lambda: sender.result.sent == 150)
            first.signal(signal.SIGKILL)
            first.process.wait()
            with serve(tmp_path):
                result = await sender.close()
            assert (result.given, result.acknowledged, result.lost) == (150, 150, 0)
            assert (result.maybe_twice, result.restarts, result.reconnections) == (50, 1, 1)

    with serve(tmp_path) as first:
        run(test(first))


def test_daemons_that_stand_still_or_are_gone_beyond_the_deadline(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            sender = await client.ingest(deadline=0.3).open()
            await sender.send(b"one")
            await sender.flush()
            other = await client.ingest(deadline=0.3).open()
            daemon.signal(signal.SIGSTOP)
            await sender.send([b"two", b"three"])
            with pytest.raises(DeadlineExceeded, match="2 frames wait"):
                await sender.flush()
            assert (await sender.abort()).lost == 2
            daemon.signal(signal.SIGKILL)
            daemon.process.wait()
            await other.send(b"four")
            with pytest.raises(ServerUnavailable):
                await other.close()
            assert (other.result.given, other.result.lost) == (1, 1)

    run(test())


def test_a_slow_daemon_holds_the_client_back_and_others_run(daemon: Daemon) -> None:
    most = 4 << 20

    async def test() -> None:
        async with (
            skbpool.aio.Client(daemon.address) as client,
            client.ingest(max_buffered_bytes=most) as sender,
        ):
            room = most - 2 * await client.message_bytes()
            daemon.signal(signal.SIGSTOP)
            feeding = asyncio.ensure_future(sender.send([bytes(1500)] * 5000))
            await until(lambda: sender.result.given * 1500 >= room)
            assert not feeding.done()
            assert sender.result.given * 1500 <= most + await client.message_bytes()
            daemon.signal(signal.SIGCONT)
            await feeding
        complete(sender.result, 5000)

    run(test())


def test_a_cancelled_sender_ends_its_stream_and_tells_what_is_lost(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            senders: list[skbpool.aio.Sender] = []

            async def work() -> None:
                async with client.ingest(linger=3600) as sender:
                    senders.append(sender)
                    await sender.send([b"one", b"two"])
                    await asyncio.Event().wait()

            working = asyncio.ensure_future(work())
            await until(lambda: bool(senders) and senders[0].result.given == 2)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            assert (senders[0].result.given, senders[0].result.lost) == (2, 2)
            # Cancelled in the middle of closing.
            daemon.signal(signal.SIGSTOP)
            sender = await client.ingest(linger=3600).open()
            await sender.send(b"three")
            closing = asyncio.ensure_future(sender.close())
            await until(lambda: sender.result.waiting == 1)
            await asyncio.sleep(0)
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            assert sender.result.lost == 1
            daemon.signal(signal.SIGCONT)
            while (await client.statistics()).drivers:
                await asyncio.sleep(0.01)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task for task in left if "Sender" in str(task.get_coro())] == []

    run(test())


def test_what_the_daemon_refuses_and_a_closed_client_end_a_sender(daemon: Daemon) -> None:
    async def test() -> None:
        client = skbpool.aio.Client(daemon.address)
        sender = await client.ingest().open()
        await sender.send([b"fine", bytes(2001)])
        with pytest.raises(RequestOutOfRange, match="2000"):
            await sender.close()
        assert (sender.result.acknowledged, sender.result.lost) == (0, 2)
        other = await client.ingest(linger=3600).open()
        await other.send(b"waits")
        await client.close()
        with pytest.raises(Cancelled):
            await other.close()
        assert other.result.lost == 1

    run(test())
