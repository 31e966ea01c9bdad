"""skbpool.aio.Client and a real daemon: calls, leases, subscriptions, cancelled tasks."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skbpool
import skbpool.aio
from skbpool.client import (
    Aborted,
    AlreadyExists,
    Cancelled,
    NotFound,
    RequestOutOfRange,
    ResourceExhausted,
    ServerUnavailable,
)
from skbpool.client.verbs.lease import View
from skbpool.v1 import watch_pb2
from skbpool_processes import DEADLINE, Daemon

pytestmark = pytest.mark.e2e

BUFFERS = 16_384


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    with Daemon(folder, "--buffers", str(BUFFERS)) as running:
        yield running


def run(test: Awaitable[None]) -> None:
    """Run a test to its end, within the deadline, and see that it leaves no task behind."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await test
        left = asyncio.all_tasks() - {asyncio.current_task()}
        own = [task for task in left if "skbpool" in str(task.get_coro())]
        assert own == []

    asyncio.run(bounded())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask `condition` until it holds; the run's deadline bounds it."""
    while not await condition():
        await asyncio.sleep(0.01)


async def await_home(client: skbpool.aio.Client) -> None:
    async def home() -> bool:
        return (await client.pool_statistics("default")).in_flight == 0

    await until(home)


async def cancelled(task: "asyncio.Future[Any]", steps: int = 1) -> None:
    """Cancel `task` after so many steps of the loop."""
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


def test_calls_answer_as_they_do_without_asyncio(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            assert repr(client) == f"Client({daemon.address!r})"
            assert (await client.server_info()).api_version == "v1"
            made = await client.create_pool("extra", 64, order=1, watermarks=(4, 8))
            assert (made.name, made.buffer_bytes) == ("extra", 8192)
            assert [pool.name for pool in await client.pools()] == ["default", "extra"]
            assert (await client.pool_statistics("extra")).free == 64
            with pytest.raises(AlreadyExists, match="extra"):
                await client.create_pool("extra", 64)
            assert (await client.close_pool("extra")).name == "extra"
            with pytest.raises(NotFound) as caught:
                await client.pool_statistics("extra")
            assert caught.value.details.reason == "UNKNOWN_POOL"
            assert [pool.pool.name for pool in (await client.statistics()).pools] == ["default"]

    run(test())


def test_a_lease_goes_the_whole_way(daemon: Daemon) -> None:
    async def test() -> None:
        async with (
            skbpool.aio.Client(daemon.address) as client,
            client.session("lender") as session,
            client.subscribe("tap") as tap,
        ):
            assert [each.name for each in await client.holders() if each.session] == ["lender"]
            first, second = await session.allocate(2)
            assert session.buffer_bytes == 4096
            await session.write(first, b"hello, world")
            await session.write_all([(second, b"other", 100)])
            assert await session.read(first, length=12) == b"hello, world"
            hello, world = await session.make_skbs([View(first, 5), View(first, 5, 7)])
            (other,) = await session.make_skb(second, 5, 100)
            (again,) = await session.clone([hello])
            part = await session.slice(world, 1, 3)
            assert await session.read_all([(again, 0, 0), (part, 0, 0)]) == [b"hello", b"orl"]
            delivered = await session.deliver([hello, world, other])
            assert (delivered.delivered, delivered.unclaimed) == (3, 0)
            found: list[bytes] = []
            async for batch in tap:
                found += map(bytes, batch)
                if len(found) == 3:
                    break
            assert found == [b"hello", b"world", b"other"]
            assert await session.release([again, part]) == 2
            with pytest.raises(NotFound):
                await session.read(hello)
            with pytest.raises(ResourceExhausted) as caught:
                await session.allocate(1 << 20)
            assert caught.value.details.retry_after is not None or caught.value.details.reason

    run(test())


def test_the_end_of_a_session_brings_everything_home(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            async with client.session() as session:
                await session.allocate(100)
            await await_home(client)
            with pytest.raises(NotFound):
                await session.allocate()
            async with client.session("bad") as session:
                await client.revoke_session("bad", reason="it is late")
                with pytest.raises(Aborted, match="it is late"):
                    await session.allocate()

    run(test())


def test_a_cancelled_allocation_holds_nothing(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client, client.session() as session:
            most = (await client.limits()).max_handles_per_session
            # Cancelled at once, and at every later step of the call.
            for steps in range(40):
                asking = asyncio.ensure_future(session.allocate(10))
                for _ in range(steps):
                    await asyncio.sleep(0)
                if asking.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await asking
                else:
                    await session.release(await asking)
            await await_home(client)
            # One that waits for buffers, which come after it was given up.
            names = [f"greedy-{number}" for number in range(BUFFERS // most)]
            greedy = [await client.session(name).open() for name in names]
            for other in greedy:
                free = (await client.pool_statistics("default")).free
                await other.allocate(min(free, most))
            await cancelled(asyncio.ensure_future(session.allocate(1, timeout=30)), 100)
            for other in greedy:
                await other.close()
            await await_home(client)

    run(test())


def test_a_cancelled_opening_leaves_nobody_there(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            for steps in range(40):
                entering = asyncio.ensure_future(client.session("brief").open())
                for _ in range(steps):
                    await asyncio.sleep(0)
                if entering.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await entering
                else:
                    await (await entering).close()

            for steps in range(60):
                opening = asyncio.ensure_future(client.subscribe("brief").open())
                for _ in range(steps):
                    await asyncio.sleep(0.0 if steps % 2 else 0.0001)
                if opening.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await opening
                else:
                    (await opening).close()

            async def gone() -> bool:
                holders, consumers = await client.holders(), (await client.statistics()).consumers
                return not consumers and not any(each.session for each in holders)

            await until(gone)

    run(test())


def test_a_cancelled_wait_ends_a_subscription_which_is_told(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client, client.subscribe() as tap:

            async def consume() -> None:
                async for _ in tap:
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(consume(), 0.05)
            with pytest.raises(Cancelled, match="a wait for the stream was cancelled"):
                await consume()

    run(test())


@pytest.mark.parametrize("kind", ["session", "subscribe", "watch_pools", "ingest"])
def test_nothing_is_opened_twice(daemon: Daemon, kind: str) -> None:
    async def test() -> None:
        async with (
            skbpool.aio.Client(daemon.address) as client,
            getattr(client, kind)() as opened,
        ):
            with pytest.raises(ValueError, match="is open already"):
                await opened.open()

    run(test())


def test_a_subscription_ends_where_it_is_told(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            taken = 0

            async def consume(tap: skbpool.aio.Subscription) -> None:
                nonlocal taken
                async for batch in tap:
                    taken += len(batch)

            async def all_taken() -> bool:
                return taken >= 100

            async with client.subscribe("tap") as tap, client.ingest() as sender:
                consuming = asyncio.ensure_future(consume(tap))
                await sender.send([bytes(60)] * 100)
                await sender.flush()
                await until(all_taken)
                tap.close()
                await consuming
                assert taken == 100
            # Cancelled where it waits for frames: the consumer is detached.
            async with client.subscribe("tap") as tap:
                await cancelled(asyncio.ensure_future(consume(tap)), 20)

            async def detached() -> bool:
                return not (await client.statistics()).consumers

            await until(detached)
            for _ in range(20):
                with pytest.raises(RequestOutOfRange, match="max_quota"):
                    await client.subscribe(quota=1 << 30).open()
            async with client.subscribe() as tap, client.ingest(linger=0) as sender:
                await sender.send(b"kept" * 20)
                batch = await anext(aiter(tap))
            assert [bytes(skb) for skb in batch] == [b"kept" * 20]

    run(test())


def test_pools_are_watched(daemon: Daemon) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(daemon.address) as client:
            async with client.watch_pools() as watch:
                await client.create_pool("watched", 8)
                async for event in watch:
                    assert (event.pool, event.kind) == (
                        "watched",
                        watch_pb2.POOL_EVENT_KIND_CREATED,
                    )
                    break
                assert watch.missed == 0
            await client.close_pool("watched")

    run(test())


def test_without_a_daemon_every_call_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with skbpool.aio.Client(f"unix:{tmp_path}/nobody.sock") as client:
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.pools()
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.session().open()
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.subscribe().open()
            with pytest.raises(ServerUnavailable, match="no daemon answers"):
                await client.ingest().open()

    run(test())
