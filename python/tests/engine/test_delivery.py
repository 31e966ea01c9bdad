"""Hub, DriverPort and Consumer: what is delivered, and what each policy does beyond a quota."""

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from skbpool import (
    Closed,
    Consumer,
    Delivered,
    DriverPort,
    Hub,
    OutOfRange,
    Pool,
    PoolClosed,
    PoolTooSmall,
    SkbBatch,
    copies,
    holders,
)
from skbpool._native import latency_histogram

FRAME = 100


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(256, name="delivery")
    yield pool
    gc.collect()
    assert pool.audit().in_flight == 0


@pytest.fixture
def hub(pool: Pool) -> Hub:
    return Hub(pool)


def frames(pool: Pool, *contents: int) -> SkbBatch:
    """Make frames of `FRAME` bytes that are all the same, each in a buffer of its own."""
    batch = SkbBatch()
    for content in contents:
        buffer = pool.alloc()
        memoryview(buffer)[:FRAME] = bytes([content]) * FRAME
        batch.append(buffer.into_skb(0, FRAME))
    return batch


def contents(batch: SkbBatch) -> list[int]:
    """Release a batch, and tell what was in it."""
    with batch:
        return [bytes(skb)[0] for skb in batch]


def drops(count: int) -> dict[str, int]:
    return {"frames": count, "bytes": count * FRAME}


def test_every_consumer_gets_every_frame_in_order(pool: Pool, hub: Hub) -> None:
    with hub.attach_driver("in") as port, hub.attach_consumer("a", quota=8) as a:
        with hub.attach_consumer("b", quota=8) as b:
            batch = frames(pool, 1, 2, 3)
            assert port.deliver(batch) == Delivered(
                frames=3, published=6, copied=0, missed=0, evicted=0, unclaimed=0, dropped={}
            )
            assert len(batch) == 0
            assert pool.stats().in_flight == 3, "shared, not copied"
            views = a.poll()
            assert [skb.is_shared for skb in views] == [True] * 3
            assert contents(views) == [1, 2, 3]
            assert contents(b.poll(2)) == [1, 2]
            assert contents(b.poll()) == [3]
        assert port.stats()["frames"] == 3
        assert a.stats()["bytes"] == 3 * FRAME
    assert hub.stats()["detached_consumers"]["frames"] == 6


def test_views_are_accounted_to_their_consumer_until_released(pool: Pool, hub: Hub) -> None:
    port, consumer = hub.attach_driver("in"), hub.attach_consumer("keeps", quota=8)
    port.deliver(frames(pool, 1, 2))
    kept = consumer.poll()
    mine = next(holder for holder in holders() if holder.name == "keeps")
    assert (mine.kind, mine.views, mine.bytes) == ("consumer", 2, 8192)
    kept.release()
    assert consumer.stats()["held"] == 0


def test_nobody_there_is_told(pool: Pool, hub: Hub) -> None:
    done = hub.attach_driver("in").deliver(frames(pool, 1, 2))
    assert (done.unclaimed, done.published, done.dropped) == (2, 0, {})


def test_drop_newest_is_the_default(pool: Pool, hub: Hub) -> None:
    port, consumer = hub.attach_driver("in"), hub.attach_consumer("out", quota=2)
    events = consumer.quota_events()
    done = port.deliver(frames(pool, 1, 2, 3, 4))
    assert (done.published, done.missed) == (2, 2)
    assert done.dropped == {"quota": drops(2)}
    assert consumer.missed() == done.dropped
    assert consumer.missed() == {}, "since it was last asked"
    assert pool.stats().cached == 0, "what was refused is free for anybody"
    assert events.wait(0) == "quota_exceeded"
    assert contents(consumer.poll()) == [1, 2]
    assert events.wait(0) is None, "told when a driver next delivers"
    port.deliver(frames(pool, 5))
    assert events.wait(0) == "quota_recovered"
    assert contents(consumer.poll()) == [5]


def test_a_ring_may_be_smaller_than_the_quota(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    consumer = hub.attach_consumer("out", quota=8, ring_slots=2)
    assert port.deliver(frames(pool, 1, 2, 3)).dropped == {"ring_full": drops(1)}
    assert contents(consumer.poll()) == [1, 2]


def test_the_time_from_delivery_to_release_is_measured(pool: Pool, hub: Hub) -> None:
    port, consumer = hub.attach_driver("in"), hub.attach_consumer("out", quota=8)
    before = latency_histogram()[1][-1]
    port.deliver(frames(pool, 1, 2))
    consumer.poll().release()
    assert latency_histogram()[1][-1] - before == 2


def test_a_quota_of_bytes_counts_whole_buffers(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    consumer = hub.attach_consumer("out", quota=8, quota_bytes=3 * 4096)
    assert port.deliver(frames(pool, 1, 2, 3, 4)).missed == 1
    stats = consumer.stats()
    assert (stats["held_bytes"], stats["quota_bytes"]) == (3 * 4096, 3 * 4096)
    consumer.close()


def test_drop_oldest_takes_back_what_waits(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    consumer = hub.attach_consumer("out", quota=2, policy="drop_oldest")
    assert port.deliver(frames(pool, 1, 2)).evicted == 0
    done = port.deliver(frames(pool, 3))
    assert (done.published, done.evicted, done.missed) == (1, 1, 0)
    assert consumer.missed() == {"evicted": drops(1)}
    assert contents(consumer.poll()) == [2, 3]


def test_copy_out_keeps_the_frames_and_sends_the_buffers_home(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    consumer = hub.attach_consumer("out", quota=2, policy="copy_out", copy_bytes=4096)
    before = copies()["copy_out"]
    done = port.deliver(frames(pool, 1, 2, 3))
    assert (done.published, done.copied, done.missed) == (3, 1, 0)
    assert pool.stats().in_flight == 2
    batch = consumer.poll()
    assert [skb.is_copied for skb in batch] == [False, False, True]
    assert contents(batch) == [1, 2, 3]
    after = copies()["copy_out"]
    assert {key: after[key] - before[key] for key in after} == drops(1)
    assert (consumer.stats()["copied"], consumer.stats()["copy_memory"]) == (1, 4096)


def test_copy_out_tells_a_full_ring_from_used_up_memory(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    settings: Any = {"quota": 1, "policy": "copy_out", "copy_bytes": 4096}
    # By default a slot for the view and one for the buffer of copies, however small these are.
    narrow = hub.attach_consumer("narrow", **settings)
    wide = hub.attach_consumer("wide", ring_slots=8, **settings)
    port.deliver(frames(pool, 1, 2, 3))
    assert (narrow.stats()["dropped"], wide.stats()["dropped"]) == ({"ring_full": drops(1)}, {})
    # The buffer of copies is home when its last copy is released.
    assert port.deliver(frames(pool, 4)).dropped == {"ring_full": drops(1), "quota": drops(1)}


def test_block_waits_for_room_if_the_driver_may(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in", may_block=60)
    consumer = hub.attach_consumer("out", quota=2, policy="block", block_at_most=60)
    port.deliver(frames(pool, 1, 2))
    taken: list[int] = []

    def take_once_waited_for() -> None:
        pause = threading.Event()
        while consumer.stats()["waits"] == 0:
            pause.wait(0.001)
        taken.extend(contents(consumer.poll()))

    thread = threading.Thread(target=take_once_waited_for)
    thread.start()
    done = port.deliver(frames(pool, 3))
    thread.join()
    assert (done.published, done.missed, taken) == (1, 0, [1, 2])
    assert contents(consumer.poll()) == [3]


def test_block_drops_where_the_driver_may_not(pool: Pool, hub: Hub) -> None:
    consumer = hub.attach_consumer("out", quota=1, policy="block", block_at_most=60)
    done = hub.attach_driver("in").deliver(frames(pool, 1, 2))
    assert (done.published, done.missed) == (1, 1)
    assert consumer.stats()["waits"] == 0
    consumer.close()


def test_closing_the_hub_ends_a_driver_that_waits(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in", may_block=3600)
    consumer = hub.attach_consumer("out", quota=1, policy="block", block_at_most=3600)

    def close_once_waited_for() -> None:
        pause = threading.Event()
        while consumer.stats()["waits"] == 0:
            pause.wait(0.001)
        hub.close()

    thread = threading.Thread(target=close_once_waited_for)
    thread.start()
    assert port.deliver(frames(pool, 1, 2)).missed == 1
    thread.join()
    consumer.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": "copy_out"},
        {"policy": "block"},
        {"copy_bytes": 4096},
        {"block_at_most": 1.0},
        {"policy": "copy_out", "copy_bytes": 4096, "block_at_most": 1.0},
        {"policy": "copy_out", "copy_bytes": 4095},
        {"policy": "block", "block_at_most": -1},
        {"policy": "block", "block_at_most": float("nan")},
        {"policy": "Drop_newest"},
        {"quota": 0},
        {"quota_bytes": 0},
        {"ring_slots": 1 << 31},
    ],
)
def test_settings_that_mean_nothing_are_refused(hub: Hub, settings: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        hub.attach_consumer("out", **{"quota": 4, **settings})
    assert hub.stats()["consumers"] == []
    assert hub.pool.stats().reserved == 0


@pytest.mark.parametrize(
    "settings", [{"quota": -1}, {"quota_bytes": 1 << 64}, {"ring_slots": 1 << 40}]
)
def test_numbers_that_do_not_fit_are_out_of_range(hub: Hub, settings: Any) -> None:
    with pytest.raises(OutOfRange):
        hub.attach_consumer("out", **{"quota": 4, **settings})


def test_promises_that_do_not_fit_the_pool_are_refused(hub: Hub) -> None:
    with pytest.raises(PoolTooSmall):
        hub.attach_consumer("out", quota=257)
    with pytest.raises(PoolTooSmall):
        hub.attach_driver("in", buffers=257)
    with pytest.raises(ValueError, match="may_block is 0 or more seconds"):
        hub.attach_driver("in", may_block=-1)
    assert hub.pool.stats().reserved == 0


def test_a_closed_port_leaves_the_batch_as_it_was(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    port.close()
    port.close()
    batch = frames(pool, 1, 2)
    with pytest.raises(Closed):
        port.deliver(batch)
    assert contents(batch) == [1, 2]
    with pytest.raises(TypeError):
        port.deliver(None)  # type: ignore[arg-type]


def test_a_closed_hub_drops_with_a_reason(pool: Pool, hub: Hub) -> None:
    port = hub.attach_driver("in")
    hub.close()
    assert port.deliver(frames(pool, 1, 2)).dropped == {"closed": drops(2)}
    with pytest.raises(PoolClosed):
        hub.attach_consumer("late", quota=1)


def attached(hub: Hub) -> tuple[DriverPort, Consumer]:
    return hub.attach_driver("in"), hub.attach_consumer("out", quota=64)


def test_a_wait_ends_with_frames_and_an_iteration_with_the_hub(pool: Pool, hub: Hub) -> None:
    port, consumer = attached(hub)
    assert not consumer.wait(0)
    seen: list[int] = []
    woken: list[bool] = []

    def receive() -> None:
        woken.append(consumer.wait(60))
        for batch in consumer:
            seen.extend(contents(batch))

    thread = threading.Thread(target=receive)
    thread.start()
    for first in range(0, 100, 10):
        port.deliver(frames(pool, *range(first, first + 10)))
        while consumer.stats()["held"]:
            pass
    hub.close()
    thread.join()
    assert (woken, seen, consumer.finished) == ([True], list(range(100)), True)


def test_closing_the_consumer_ends_its_waits(hub: Hub) -> None:
    _port, consumer = attached(hub)
    events = consumer.quota_events()
    ended: list[object] = []
    threads = [
        threading.Thread(target=lambda: ended.append(consumer.wait(None))),
        threading.Thread(target=lambda: ended.append(list(events))),
    ]
    for thread in threads:
        thread.start()
    consumer.close()
    for thread in threads:
        thread.join()
    assert sorted(map(str, ended)) == ["False", "['quota_gone']"]
    assert list(consumer) == []
    assert consumer.stats()["name"] == "out"
    with pytest.raises(Closed):
        consumer.poll()


def test_ctrl_c_ends_an_iteration(hub: Hub) -> None:
    _port, consumer = attached(hub)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        next(consumer)
    timer.join()
    assert not consumer.finished


@pytest.mark.parametrize("first", ["the consumer", "the driver"])
def test_rings_that_there_is_no_memory_for_are_refused(first: str) -> None:
    consumer = "hub.attach_consumer('huge', quota=16, ring_slots=1 << 24)"
    driver = "hub.attach_driver('in')"
    before, after = (consumer, driver) if first == "the consumer" else (driver, consumer)
    program = f"""
import resource, skbpool
hub = skbpool.Hub(skbpool.Pool(64))
small = hub.attach_consumer('small', quota=4)
kept = {before}
with open('/proc/self/statm') as file:
    pages = int(file.read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (256 << 20),) * 2)
try:
    {after}
except skbpool.PoolMemory as error:
    names = [each['name'] for each in hub.stats()['drivers'] + hub.stats()['consumers']]
    print(len(names), error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 no memory for a ring of 16777216 slots of 64 bytes; ask for fewer\n"
