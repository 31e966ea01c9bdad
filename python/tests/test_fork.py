"""I12: in a forked child pools are dead, and what was inherited is a private copy.

The child runs as far as `os._exit`: pytest, its files and its threads are the parent's.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable

import pytest
from skbpool import Pool, Skb, SkbBatch, adopt
from skbpool._native import Bell, EmulatedNic, Hub, IngestPort, StampConsumer, Subscription
from skbpool.errors import BufferReleased, ForkedPool, SkbpoolError

# Python 3.12 and later warn of any fork while there are threads; those tests are about it.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

DEADLINE = 30
"""Seconds after which a child hangs."""


def in_child(work: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Fork, do something in the parent, then run `work` in the child and raise what it raised."""
    wait, go = os.pipe()
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        text = ""
        try:
            signal.alarm(DEADLINE)
            os.close(go)
            os.read(wait, 1)
            work()
        except BaseException:
            text = traceback.format_exc()
        os.write(say, text.encode())
        os._exit(0 if not text else 1)
    os.close(wait)
    os.close(say)
    try:
        meanwhile()
    finally:
        os.close(go)
        with os.fdopen(said, "rb") as pipe:
            text = pipe.read().decode()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert (text, status) == ("", 0)


def filled(pool: Pool, byte: int) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[:] = bytes([byte]) * len(buffer)
    return buffer.into_skb(0, len(buffer))


def test_memoryviews_keep_their_bytes_whatever_the_parent_writes() -> None:
    pool = Pool(8)
    skbs = [filled(pool, number) for number in range(8)]
    views = [memoryview(skb) for skb in skbs]

    def rewrite() -> None:
        for view, skb in zip(views, skbs, strict=True):
            view.release()
            skb.release()
        for buffer in pool.alloc_bulk(8):
            memoryview(buffer)[:] = b"\xee" * len(buffer)

    def read() -> None:
        for number, (view, skb) in enumerate(zip(views, skbs, strict=True)):
            assert bytes(view) == bytes([number]) * 4096
            assert bytes(skb) == bytes(view)

    in_child(read, meanwhile=rewrite)


def test_what_the_child_writes_stays_the_childs() -> None:
    pool = Pool(2)
    buffer = pool.alloc()
    memory = memoryview(buffer)
    memory[:] = b"a" * len(buffer)

    def write() -> None:
        memory[:] = b"b" * len(buffer)

    in_child(write)
    assert bytes(memory) == b"a" * len(buffer)


def test_every_other_call_raises_forked_pool() -> None:
    pool = Pool(64)
    skb = filled(pool, 1)
    clone = skb.clone()

    def use() -> None:
        for call in (
            pool.alloc,
            lambda: pool.alloc(timeout=None),
            lambda: pool.alloc_bulk(2),
            lambda: pool.alloc_bulk(1000),
            lambda: pool.reserve(1, "child"),
            pool.audit,
            clone.copy,
            clone.unshare,
            lambda: clone.copy(pool),
        ):
            with pytest.raises(ForkedPool, match="forked"):
                call()
        assert isinstance(ForkedPool("x"), SkbpoolError)
        assert pool.stats().state == "forked"
        assert bytes(skb[10:20]) == b"\x01" * 10
        own = Pool(2)
        assert bytes(clone.copy(own)) == bytes(skb), "a pool made here gives buffers"
        assert own.audit().free == 2

    in_child(use)
    assert pool.audit().in_flight == 1


def test_releases_in_the_child_change_nothing_in_the_parent() -> None:
    pool = Pool(64)
    batch = SkbBatch([filled(pool, number) for number in range(5)])
    single = filled(pool, 9)
    before = pool.stats()

    def release() -> None:
        batch.release()
        single.release()
        with pytest.raises(BufferReleased):
            bytes(single)
        assert pool.stats().in_flight == 0
        assert pool.close() == 0

    in_child(release)
    assert pool.stats() == before
    assert bytes(single) == b"\x09" * 4096
    batch.release()
    single.release()
    assert pool.audit().free == 64


def test_brought_memory_is_freed_once_in_each_process() -> None:
    pool = Pool(1)  # as a process that has pools
    freed: list[int] = []
    skb = adopt(b"brought", free=lambda _memory: freed.append(os.getpid())).into_skb()

    def release() -> None:
        assert bytes(skb) == b"brought"
        skb.release()
        assert freed == [os.getpid()]

    in_child(release)
    assert freed == []
    skb.release()
    assert freed == [os.getpid()]
    pool.close()


def test_hubs_cards_and_consumers_are_dead_and_their_threads_are_not_waited_for() -> None:
    pool = Pool(8192)
    hub = Hub(pool)
    nic = EmulatedNic(rate="10Mbps")
    nic.start()
    stamps = StampConsumer(hub, "stamps", stream=0, quota=64)
    subscription = Subscription(hub, "out", quota=64, max_message_bytes=1 << 16)
    port = IngestPort(hub, "in")
    bell = Bell()
    bell.ring(7)
    inherited = [nic, stamps, subscription, port, hub]

    def use() -> None:
        for call in (
            nic.start,
            nic.report,
            lambda: nic.next_request(1 << 16, 0.0, 1),
            stamps.report,
            stamps.stop,
            subscription.next_message,
            subscription.stats,
            lambda: bell.wait(None),
            port.stats,
            lambda: port.submit(b""),
            lambda: IngestPort(hub, "late"),
            lambda: Subscription(hub, "late", quota=1, max_message_bytes=4096),
        ):
            with pytest.raises(ForkedPool):
                call()
        assert subscription.finished
        bell.ring(8)
        for each in (nic.stop, stamps.close, subscription.close, port.close):
            each()
        inherited.clear()
        gc.collect()

    in_child(use)
    assert [bell.wait(0), bell.wait(0)] == [7, None]
    port.close()
    subscription.close()
    stamps.close()
    nic.stop()
    assert nic.report()["ended"]


def test_deliveries_and_events_end_at_the_fork() -> None:
    pool = Pool(64, watermarks=(4, 8))
    hub = Hub(pool)
    port, consumer = hub.attach_driver("in"), hub.attach_consumer("out", quota=8)
    events, quota = pool.events(), consumer.quota_events()
    port.deliver(SkbBatch([filled(pool, 1)]))
    batch = SkbBatch([filled(pool, 2)])

    def use() -> None:
        for call in (
            lambda: port.deliver(batch),
            port.stats,
            consumer.poll,
            consumer.missed,
            consumer.stats,
            consumer.quota_events,
            lambda: consumer.wait(None),
            lambda: next(consumer),
            pool.events,
            lambda: events.wait(None),
            lambda: events.missed,
            lambda: next(events),
            lambda: quota.wait(None),
            lambda: hub.attach_driver("late"),
            lambda: hub.attach_consumer("late", quota=1),
        ):
            with pytest.raises(ForkedPool, match="forked"):
                call()
        assert consumer.finished
        assert len(batch) == 1
        assert not pool.is_low
        port.close()
        consumer.close()

    in_child(use)
    assert events.wait(0) is None
    assert port.deliver(batch).published == 1
    assert [bytes(skb)[0] for skb in consumer.poll()] == [1, 2]


def test_a_child_that_ends_as_programs_do_waits_for_nobody() -> None:
    program = """if True:
        import os, warnings
        from skbpool import Pool, adopt
        from skbpool._native import EmulatedNic, Hub, StampConsumer
        warnings.simplefilter("ignore")
        pool = Pool(256)
        hub = Hub(pool)
        reader = StampConsumer(hub, "stamps", stream=0, quota=64)
        nic = EmulatedNic(rate="10Mbps")
        nic.start()
        view = memoryview(pool.alloc())
        skb = adopt(b"abc", free=lambda memory: None).into_skb()
        child = os.fork()
        if child:
            print("child ended with", os.waitpid(child, 0)[1])
        """
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("child ended with 0\n", "")


def test_forks_while_other_threads_allocate() -> None:
    pool = Pool(256)
    held = filled(pool, 7)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            with SkbBatch([buffer.into_skb(0, 64) for buffer in pool.alloc_bulk(16)]) as batch:
                batch.clone().release()
            Pool(1).close()
            pool.stats()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()

    def use() -> None:
        assert bytes(held) == b"\x07" * 4096
        with pytest.raises(ForkedPool):
            pool.alloc()
        with Pool(4) as own:
            own.alloc().release()
        pool.stats()

    try:
        for _ in range(20):
            in_child(use)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    held.release()
    assert pool.audit().free == 256
    print("forks: 20")
