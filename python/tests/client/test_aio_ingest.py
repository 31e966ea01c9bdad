"""skbpool.aio.Client.ingest with frames, and what else both clients have."""

import asyncio
import inspect
from asyncio import InvalidStateError
from collections.abc import AsyncIterator, Awaitable, Iterator

import grpc
import pytest
import skbpool.aio
from skbpool import Client, OutOfRange
from skbpool.client import (
    Acknowledgement,
    Frame,
    InvalidRequest,
    NotFound,
    RequestOutOfRange,
    ServerUnavailable,
)
from skbpool.v1 import frame_batch_pb2, frame_pb2
from skbpool_processes import DEADLINE, Daemon

pytestmark = pytest.mark.e2e

CREDIT = 1 << 20
LARGEST = 2000


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    limits = (f"ingest_credit_bytes={CREDIT}", f"max_frame_bytes={LARGEST}")
    flags = [word for limit in limits for word in ("--set", f"limits.{limit}")]
    with Daemon(tmp_path_factory.mktemp("daemon"), "--buffers", "16384", *flags) as running:
        yield running


def run(test: Awaitable[None]) -> None:
    """Run a test to its end, within the deadline, and see that it leaves no task behind."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await test
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task for task in left if "skbpool" in str(task.get_coro())] == []

    asyncio.run(bounded())


def message(sequence: int, length: int = 60) -> bytes:
    batch = frame_batch_pb2.FrameBatch(
        frames=bytes(60), length=[length], base_time_ns=1, link_type=1, sequence=sequence
    )
    return frame_pb2.IngestRequest(batch=batch).SerializeToString()


async def drivers(client: skbpool.aio.Client) -> list[str]:
    return [driver.name for driver in (await client.statistics()).drivers]


async def gone(client: skbpool.aio.Client) -> None:
    while await drivers(client):
        await asyncio.sleep(0.01)


def test_frames_come_out_as_they_went_in(daemon: Daemon) -> None:
    frames = [
        Frame(bytes([number % 256]) * (60 + number % 900), number + 1) for number in range(8000)
    ]

    async def each() -> AsyncIterator[Frame]:
        for frame in frames:
            yield frame

    async def test() -> None:
        # Several times the credit, so that the stream waits for it.
        assert sum(len(bytes(frame.data)) for frame in frames) > 3 * CREDIT
        async with (
            skbpool.aio.Client(daemon.address) as client,
            client.subscribe("tap", quota=8192) as tap,
        ):
            for given in (frames, iter(frames), each()):
                sending = asyncio.ensure_future(client.ingest(given, driver="file"))
                found: list[tuple[bytes, int]] = []
                async for batch in tap:
                    found += [(bytes(skb), skb.timestamp_ns) for skb in batch]
                    if len(found) == len(frames):
                        break
                done = await sending
                assert (done.accepted, done.dropped, done.missed) == (len(frames), {}, {})
                assert found == [(frame.data, frame.timestamp_ns) for frame in frames]
            assert (await client.ingest(b"one" * 20)).accepted == 1
            assert await client.ingest([]) == Acknowledgement()
            await gone(client)

    run(test())


def test_what_cannot_be_meant_is_told(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            with pytest.raises(TypeError, match=r"^linger is an option of the Sender"):
                client.ingest([b"x"], linger=0.1)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match=r"^frames are .* not NoneType$"):
                await client.ingest(None)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match=r"^driver is a text, not int$"):
                await client.ingest([b"x"], driver=5)  # type: ignore[call-overload]
            with pytest.raises(TypeError, match=r"IngestRequest, not str"):
                [_ async for _ in client.ingest_messages(["x"])]  # type: ignore[list-item]
            with pytest.raises(OutOfRange, match="quota is 0 to"):
                client.stamp_reader(1, quota=-1)
            await gone(client)

    run(test())


def test_what_the_daemon_refuses_and_what_a_source_raises_end_the_stream(daemon: Daemon) -> None:
    async def broken(error: Exception) -> AsyncIterator[bytes]:
        yield message(1)
        raise error

    async def test() -> None:
        acknowledged: list[int] = []

        async def send(messages: "list[bytes] | AsyncIterator[bytes]") -> None:
            acknowledged.clear()
            async for done in client.ingest_messages(messages):
                acknowledged.append(done.accepted)  # noqa: PERF401 - those before an error too

        async with skbpool.aio.Client(daemon.address) as client:
            with pytest.raises(RequestOutOfRange, match=str(LARGEST)):
                await client.ingest([bytes(60), bytes(LARGEST + 1)])
            with pytest.raises(InvalidRequest):
                await send([message(1), message(2, 61)])
            # As a source that is another call, or another event loop's, raises.
            for error in (
                RuntimeError("broke"),
                grpc.RpcError("broke"),
                InvalidStateError("broke"),
            ):
                with pytest.raises(type(error), match="broke"):
                    await asyncio.wait_for(send(broken(error)), DEADLINE)
                assert acknowledged[-1] == 1
            await gone(client)

    run(test())


def test_frames_before_one_that_is_none_are_sent(daemon: Daemon) -> None:
    async def two() -> AsyncIterator[object]:
        yield b"kept" * 20
        yield 5

    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client, client.subscribe() as tap:
            for frames in ([b"kept" * 20, 5], iter([b"kept" * 20, 5]), two()):
                with pytest.raises(TypeError, match="bytes-like"):
                    await client.ingest(frames)  # type: ignore[arg-type]
                assert [bytes(skb) for skb in await anext(aiter(tap))] == [b"kept" * 20]

    run(test())


def test_one_that_is_cancelled_or_given_up_leaves_nothing_behind(daemon: Daemon) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(60)
            await asyncio.sleep(0)

    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            sending = asyncio.ensure_future(client.ingest(endless(), driver="endless"))
            while "endless" not in await drivers(client):
                await asyncio.sleep(0.01)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            await gone(client)
            acknowledgements = client.ingest_messages([message(1)])
            await anext(acknowledgements)
            await acknowledgements.aclose()  # type: ignore[attr-defined]
            await gone(client)

    run(test())


def test_stamps_are_read(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            early = client.stamp_reader(7)
            with pytest.raises(ValueError, match="not open"):
                await early.report()
            async with early as reader:
                with pytest.raises(ValueError, match="is open already"):
                    await reader.open()
                await client.ingest([bytes(60)] * 5)
                while (await reader.report()).foreign != 5:
                    await asyncio.sleep(0.01)
            while (await client.statistics()).consumers:
                await asyncio.sleep(0.01)
            with pytest.raises(NotFound):
                await reader.report()

    run(test())


def test_messages_of_a_subscription_are_had_as_they_are(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client, client.subscribe() as tap:
            await client.ingest([b"raw" * 20])
            raw = await anext(aiter(tap.messages()))
            response = frame_pb2.SubscribeResponse.FromString(raw)
            assert response.batch.frames == b"raw" * 20

    run(test())


def test_without_a_daemon_it_says_so() -> None:
    async def test() -> None:
        async with skbpool.aio.Client("unix:/nowhere/skbpool.sock") as client:
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.ingest([bytes(60)])
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.stamp_reader(1).open()

    run(test())


@pytest.mark.parametrize("name", ["Client", "Session", "Sender", "Subscription", "StampReader"])
def test_both_clients_have_the_same_verbs_with_the_same_arguments(name: str) -> None:
    plain, other = (getattr(module, name) for module in (skbpool.client, skbpool.aio))
    verbs = {each for each in dir(plain) if not each.startswith("_")}
    assert verbs - {each for each in dir(other) if not each.startswith("_")} == set()
    for verb in verbs:
        if inspect.isfunction(getattr(plain, verb)):
            ours, theirs = (
                [
                    (it.name, it.kind, it.default)
                    for it in inspect.signature(each).parameters.values()
                ]
                for each in (getattr(plain, verb), getattr(other, verb))
            )
            assert ours == theirs, verb


def test_both_clients_are_made_the_same_way() -> None:
    ours, theirs = (inspect.signature(kind) for kind in (Client, skbpool.aio.Client))
    assert list(ours.parameters.values()) == list(theirs.parameters.values())
