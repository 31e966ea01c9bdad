"""WatchService: what happens to pools and holders is told while it happens."""

import queue
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from batches import numbered, request
from daemon_support import PATIENCE, Stubs, eventually, refusal
from driver import Driver
from lease_support import Lease
from skbpool.v1 import frame_pb2, pool_pb2, server_pb2, stamp_pb2, watch_pb2
from skbpool_service.daemon import Daemon
from skbpool_service.watch.feed import Event

Code = grpc.StatusCode


class Watch:
    """An open WatchPools stream."""

    def __init__(self, stubs: Stubs):
        self.stream = stubs.watch.WatchPools(watch_pb2.WatchPoolsRequest(), timeout=PATIENCE)
        self.stream.initial_metadata()
        self.missed = 0
        self._events: list[watch_pb2.PoolEvent] = []

    def next(self) -> watch_pb2.PoolEvent:
        """Wait for the next event."""
        if not self._events:
            response = next(self.stream)
            self.missed += response.missed
            self._events.extend(response.events)
        return self._events.pop(0)

    def expect(self, kind: str, pool: str = "p") -> watch_pb2.PoolEvent:
        """Wait for the next event, which is this one."""
        event = self.next()
        found = watch_pb2.PoolEventKind.Name(event.kind).removeprefix("POOL_EVENT_KIND_").lower()
        assert (found, event.pool) == (kind, pool)
        return event


def create(stubs: Stubs, name: str, buffers: int = 8) -> None:
    marks = pool_pb2.Watermarks(low=buffers // 2, high=buffers // 2)
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name=name, buffers=buffers, watermarks=marks))


def close(stubs: Stubs, name: str) -> None:
    stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name=name))


def test_the_life_of_a_pool_is_told(stubs: Stubs) -> None:
    watch = Watch(stubs)
    begin = time.time_ns()
    create(stubs, "p")
    created = watch.expect("created")
    assert begin < created.time.ToNanoseconds() < time.time_ns()
    lease = Lease(stubs)
    held = lease.allocate(5, pool="p")
    assert watch.expect("low_watermark").in_flight == 5
    for _ in range(2):  # which is told once
        assert refusal(lambda: lease.allocate(4, pool="p"))[0] == Code.RESOURCE_EXHAUSTED
    watch.expect("exhausted")
    lease.release(*held[:1])
    watch.expect("high_watermark")
    assert refusal(lambda: lease.allocate(9, pool="p"))[0] == Code.RESOURCE_EXHAUSTED
    assert refusal(lambda: lease.allocate(5, pool="p"))[0] == Code.RESOURCE_EXHAUSTED
    assert watch.expect("exhausted").in_flight == 4
    close(stubs, "p")
    orphaned = watch.expect("orphaned")
    assert (orphaned.in_flight, orphaned.HasField("holder")) == (4, False)
    lease.stream.cancel()
    assert watch.expect("gone").in_flight == 0
    assert watch.missed == 0
    watch.stream.cancel()


def test_only_what_happens_from_then_on_is_told(stubs: Stubs) -> None:
    create(stubs, "p")
    lease = Lease(stubs)
    lease.allocate(5, pool="p")
    watch = Watch(stubs)
    create(stubs, "q")
    watch.expect("created", "q")
    watch.stream.cancel()
    lease.stream.cancel()


def test_a_consumer_over_its_quota_is_told_and_that_it_recovered(stubs: Stubs) -> None:
    watch, driver = Watch(stubs), Driver(stubs)
    tap = subscribe(stubs, "tap")
    driver.send(request(numbered(20), 1))
    holder = watch.expect("quota_exceeded", "default").holder
    assert (holder.name, holder.kind) == ("tap", server_pb2.HOLDER_KIND_CONSUMER)
    eventually(lambda: stubs.statistics().in_flight == 0)
    driver.send(request(numbered(1), 2))
    assert watch.expect("quota_recovered", "default").holder.name == "tap"
    # It leaves with nothing over; the next one does not.
    tap.cancel()
    eventually(lambda: not consumers(stubs))
    other = subscribe(stubs, "other")
    driver.send(request(numbered(20), 3))
    assert watch.expect("quota_exceeded", "default").holder.name == "other"
    other.cancel()
    assert watch.expect("quota_gone", "default").holder.name == "other"
    driver.finish()
    watch.stream.cancel()


def test_a_stamp_reader_over_its_quota_is_told(stubs: Stubs) -> None:
    watch, driver = Watch(stubs), Driver(stubs)
    reader = stubs.stamp.AttachStampReader(stamp_pb2.AttachStampReaderRequest(stream=1, quota=1))
    next(reader)
    driver.send(request(numbered(20), 1))
    assert watch.expect("quota_exceeded", "default").holder.name == "stamps-1"
    driver.finish()
    reader.cancel()
    watch.stream.cancel()


def subscribe(stubs: Stubs, name: str) -> Any:
    tap = stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name=name, quota=8))
    tap.initial_metadata()
    return tap


def consumers(stubs: Stubs) -> list[str]:
    figures = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    return [consumer.name for consumer in figures.consumers]


def test_whoever_holds_for_too_long_is_suspected_once(start) -> None:
    daemon, stubs = start(watch={"leak_suspect_age": 0.02, "interval": 0.01})
    create(stubs, "p")
    watch = Watch(stubs)
    leaky, other = Lease(stubs, "leaky"), Lease(stubs, "other")
    (held,) = leaky.allocate(1, pool="p")
    event = watch.expect("leak_suspect")
    assert (event.holder.name, event.holder.count) == ("leaky", 1)
    assert event.holder.oldest_at_least.ToNanoseconds() > 20_000_000
    other.allocate(1)
    assert watch.expect("leak_suspect", "default").holder.name == "other"
    # Once it was seen with nothing old it may be suspected anew.
    leaky.release(held)
    eventually(lambda: len(daemon._watches._observer._suspects) == 1)
    leaky.allocate(1, pool="p")
    assert watch.expect("leak_suspect").holder.name == "leaky"
    for stream in (watch.stream, leaky.stream, other.stream):
        stream.cancel()


def test_a_slow_watcher_is_told_how_much_it_missed(start) -> None:
    daemon, stubs = start(limits={"max_watcher_events": 16})
    slow, fast = Watch(stubs), Watch(stubs)
    feed, told = daemon._engine.feed, 20_000
    for number in range(told):
        feed.tell(Event(number, "created", "p" * 63, number))
    watcher = next(iter(daemon._watches._watchers))
    assert len(watcher.backlog._events) <= 16
    create(stubs, "last")
    for watch in (slow, fast):
        seen, last = 0, -1
        while (event := watch.next()).pool != "last":
            assert event.in_flight > last
            seen, last = seen + 1, event.in_flight
        assert seen + watch.missed == told
        assert last == told - 1
    assert slow.missed > 0
    slow.stream.cancel()
    fast.stream.cancel()


def test_a_watcher_that_reads_nothing_holds_up_nobody(start) -> None:
    daemon, stubs = start(shutdown_deadline=1.0)
    slow = Watch(stubs)
    (watcher,) = daemon._watches._watchers
    # Until nothing was taken for so long that whoever sends to it must be held up.
    event = Event(0, "created", "p" * 60_000, 0)
    for _ in range(2_000_000):
        daemon._engine.feed.tell(event)
        if watcher.backlog._missed > 20_000:
            break

    def held_up() -> bool:
        daemon._engine.feed.tell(event)
        return bool(watcher._sending.locked()) and len(watcher.backlog._events) == 1024

    # A thread that is only slow is between two events now and then.
    eventually(held_up)
    # Others are told, and the daemon stops.
    other = Watch(stubs)
    create(stubs, "p")
    other.expect("created")
    daemon.stop()
    with pytest.raises(grpc.RpcError):
        list(slow.stream)


def test_the_number_of_watchers_is_limited(start) -> None:
    daemon, stubs = start(limits={"max_watchers": 2})
    watches = [Watch(stubs), Watch(stubs)]
    again = partial(stubs.watch.WatchPools, watch_pb2.WatchPoolsRequest(), timeout=PATIENCE)
    code, text = refusal(again)
    assert (code, "limits.max_watchers = 2" in text) == (Code.RESOURCE_EXHAUSTED, True)
    watches.pop().stream.cancel()
    eventually(lambda: daemon._gates["max_watchers"].inside == 1)
    watches.append(Watch(stubs))
    create(stubs, "p")
    for watch in watches:
        watch.expect("created")
        watch.stream.cancel()
    # Who left is told nothing, and nobody looks any more.
    eventually(lambda: not daemon._engine.feed.is_watched)


def test_watchers_hold_no_threads(start) -> None:
    daemon, stubs = start(limits={"max_watchers": 16})
    watches = [Watch(stubs) for _ in range(16)]
    threads = daemon._watches._threads
    eventually(lambda: threads._work_queue.empty() and idle(threads))
    create(stubs, "p")
    for watch in watches:
        watch.expect("created")
    eventually(lambda: idle(threads))
    for watch in watches:
        watch.stream.cancel()


def idle(threads: object) -> bool:
    """Whether every thread waits for work."""
    made = len(threads._threads)  # type: ignore[attr-defined]
    return bool(threads._idle_semaphore._value == made)  # type: ignore[attr-defined]


def test_an_orphan_goes_though_nobody_watches_or_asks(start) -> None:
    daemon, stubs = start()
    create(stubs, "p")
    lease = Lease(stubs)
    lease.allocate(1, pool="p")
    close(stubs, "p")
    assert daemon._engine.pools.has_orphans
    lease.stream.cancel()
    eventually(lambda: not daemon._engine.pools.has_orphans)


@pytest.mark.parametrize("asked", [True, False])
def test_watchers_are_told_that_the_daemon_stops(
    start: Callable[..., tuple[Daemon, Stubs]], asked: bool
) -> None:
    daemon, stubs = start()
    requests: queue.Queue[bytes | None] = queue.Queue()
    call: Any = stubs.channel.stream_stream("/skbpool.v1.WatchService/WatchPools")
    stream = call(iter(requests.get, None), timeout=PATIENCE)
    if asked:
        requests.put(b"")
        stream.initial_metadata()
    eventually(lambda: daemon._watches._watchers if asked else daemon._watches._before._streams)
    daemon.stop()
    code, text = refusal(lambda: stream)
    assert (code, "stopping" in text) == (Code.UNAVAILABLE, True)
    requests.put(None)
