"""DriverService: cards and replays that run inside the daemon."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import grpc
import pytest
import skbpool
from attached import (
    GIGABIT,
    State,
    Subscriber,
    attach,
    detach,
    dropped,
    ended,
    listed,
    replay,
    write_pcap,
)
from daemon_support import PATIENCE, Stubs, eventually, refusal
from scraping import scrape, value
from skbpool import SkbBatch
from skbpool.v1 import pool_pb2, server_pb2, watch_pb2
from skbpool_service.daemon import Daemon

FRAMES = 50_000

FRAMES_TOTAL = "skbpool_driver_frames_total"

Kind = watch_pb2.PoolEventKind

SIZES = (60, 1, 64, 1514, 4096, 9000, 262_144)


def test_a_card_at_a_gigabit_accounts_for_every_frame(daemon: Daemon, stubs: Stubs) -> None:
    subscriber = Subscriber(stubs, name="tap", quota=2048)
    others = stubs.statistics().reserved
    card = attach(stubs, line={"bits_per_second": GIGABIT, "frames": FRAMES}, stream=7)
    assert (card.name, card.pool, card.state) == ("card", "default", State.DRIVER_STATE_RUNNING)
    subscriber.read(until=FRAMES)
    card = ended(stubs)
    assert (card.state, card.error) == (State.DRIVER_STATE_FINISHED, "")
    assert (card.offered_frames, card.wire_bits) == (FRAMES, FRAMES * 84 * 8)
    assert card.accepted_frames + dropped(card) == FRAMES
    assert (subscriber.told, card.unclaimed_frames) == (card.accepted_frames, 0)
    assert {len(frame) for frame in subscriber.frames} == {60}
    # A line that is down holds no buffer, and none is promised to it; its driver stays.
    assert (stubs.statistics().in_flight, stubs.statistics().reserved) == (0, others)
    assert [entry["name"] for entry in daemon._engine.hub.stats()["drivers"]] == ["card"]
    gone = detach(stubs)
    assert (gone.state, gone.views_out) == (State.DRIVER_STATE_DETACHED, 0)
    assert stubs.statistics().reserved == others
    assert gone.offered_frames == FRAMES
    assert listed(stubs) == []
    subscriber.stream.cancel()
    stubs.await_home()


@pytest.mark.parametrize("original_timing", [False, True])
def test_a_capture_arrives_byte_for_byte(start, tmp_path: Path, original_timing: bool) -> None:
    _, stubs = start(driver={"capture_directory": str(tmp_path)})
    frames = [bytes([size % 251 + place]) * size for place, size in enumerate(SIZES)]
    (tmp_path / "day").mkdir()
    write_pcap(tmp_path / "day" / "trace.pcap", frames)
    subscriber = Subscriber(stubs)
    attached = replay(
        stubs,
        "day/trace.pcap",
        line={"bits_per_second": GIGABIT},
        loops=3,
        original_timing=original_timing,
    )
    assert attached.capture == "day/trace.pcap"
    subscriber.read(until=3 * len(frames))
    assert subscriber.frames == frames * 3
    done = ended(stubs, "replay")
    assert (done.state, done.offered_frames) == (State.DRIVER_STATE_FINISHED, 3 * len(frames))
    assert done.accepted_bytes == 3 * sum(SIZES)
    detach(stubs, "replay")


def test_an_endless_replay_ends_when_it_is_detached(start, tmp_path: Path) -> None:
    _, stubs = start(driver={"capture_directory": str(tmp_path)})
    write_pcap(tmp_path / "trace.pcap", [b"first", b"second"])
    subscriber = Subscriber(stubs)
    replay(stubs, "trace.pcap", line={"frames_per_second": 5000}, endless=True)
    subscriber.read(until=100)
    assert subscriber.frames[:100] == [b"first", b"second"] * 50
    assert detach(stubs, "replay").error == ""


def test_a_damaged_capture_fails_its_driver_and_nobody_else(start, tmp_path: Path) -> None:
    _, stubs = start(driver={"capture_directory": str(tmp_path)})
    path = tmp_path / "trace.pcap"
    write_pcap(path, [b"first", b"second"])
    path.write_bytes(path.read_bytes()[:-1])
    subscriber = Subscriber(stubs)
    replay(stubs, "trace.pcap")
    subscriber.read(until=1)
    failed = ended(stubs, "replay")
    assert (failed.state, failed.accepted_frames) == (State.DRIVER_STATE_FAILED, 1)
    assert failed.error.startswith("trace.pcap: byte 45: cut off")
    attach(stubs, line={"frames": 5})
    subscriber.read(until=6)
    assert detach(stubs, "replay").error == failed.error


def test_views_outlive_their_driver_and_are_told(daemon: Daemon, stubs: Stubs) -> None:
    with daemon._engine.hub.attach_consumer("keeper", quota=100) as keeper:
        attach(stubs, line={"bits_per_second": GIGABIT})
        held = SkbBatch()
        while len(held) < 100:
            keeper.wait(PATIENCE)
            held.extend(keeper.poll(100))
        before = [bytes(skb) for skb in held]
        draining = detach(stubs)
        assert (draining.state, draining.views_out) == (State.DRIVER_STATE_DRAINING, 100)
        assert draining.buffers_out == stubs.statistics().in_flight > 0
        assert [bytes(skb) for skb in held] == before
        # What drains is no longer there for others: its name and its promise are free.
        again = attach(stubs, line={"frames": 1})
        draining, running = listed(stubs)
        assert (draining.state, running.name) == (State.DRIVER_STATE_DRAINING, again.name)
        assert detach(stubs).name == again.name
        assert detach(stubs) == listed(stubs)[0], "one that drains tells how it stands"
        skb = held.pop()
        held.release()
        assert [(each.views_out, each.buffers_out) for each in listed(stubs)] == [(1, 1)]
        skb.release()
        assert listed(stubs) == []
    stubs.await_home()


def test_frames_of_a_driver_that_left_reach_a_slow_subscriber(stubs: Stubs) -> None:
    subscriber = Subscriber(stubs, name="slow", quota=200)
    attach(stubs, line={"bits_per_second": GIGABIT}, frame_size=1518)

    def stuck() -> bool:
        """Nothing is taken any more of what waits."""
        looks = []
        for _ in range(2):
            figures = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
            [found] = figures.consumers
            looks.append((found.frames, found.held))
            listed(stubs)
        return looks[0] == looks[1] and looks[0][1] == 200

    eventually(stuck)
    gone = detach(stubs)
    assert 0 < gone.views_out <= 200
    subscriber.read(until=gone.accepted_frames)
    assert subscriber.told == gone.accepted_frames
    assert {len(frame) for frame in subscriber.frames} == {1514}
    eventually(lambda: listed(stubs) == [])
    subscriber.stream.cancel()
    stubs.await_home()


def test_cycles_of_attaching_leak_nothing(start, tmp_path: Path) -> None:
    daemon, stubs = start(driver={"capture_directory": str(tmp_path)})
    write_pcap(tmp_path / "trace.pcap", [b"frame"] * 10)
    for _ in range(20):
        attach(stubs)
        replay(stubs, "trace.pcap", endless=True)
        for name in ("card", "replay"):
            assert detach(stubs, name).state == State.DRIVER_STATE_DETACHED
    assert leftovers(daemon) == ([], [], [], [])
    stubs.await_home()


def leftovers(daemon: Daemon) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return open captures, native threads of cards, who is attached, and who holds something."""
    files = [found(Path.readlink, each) for each in Path("/proc/self/fd").iterdir()]
    threads = [found(Path.read_text, each / "comm") for each in Path("/proc/self/task").iterdir()]
    return (
        [file for file in files if "trace" in file],
        [name for name in threads if "nic" in name],
        [driver["name"] for driver in daemon._engine.hub.stats()["drivers"]],
        [holder.name for holder in skbpool.holders() if holder.name in ("card", "replay")],
    )


def found(look: Callable[[Path], object], path: Path) -> str:
    """Return what is found at a path that may be gone by now."""
    try:
        return str(look(path))
    except OSError:
        return ""


def test_a_driver_that_may_wait_loses_nothing_to_a_slow_consumer(
    daemon: Daemon, stubs: Stubs
) -> None:
    hub = daemon._engine.hub
    with hub.attach_consumer("slow", quota=32, policy="block", block_at_most=PATIENCE) as slow:
        line = {"frames": 5000, "block_at_most": {"seconds": 1}}
        attach(stubs, line=line)
        taken = 0
        while taken < 5000:
            assert slow.wait(PATIENCE)
            taken += len(slow.poll(32))
        assert (ended(stubs).accepted_frames, slow.stats()["dropped"]) == (5000, {})
        assert slow.stats()["waits"] > 0


def test_a_pool_of_its_own_fails_the_driver_when_it_is_closed(stubs: Stubs) -> None:
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="own", buffers=2048))
    assert attach(stubs, pool="own").pool == "own"
    assert stubs.statistics("own").in_flight > 0 == stubs.statistics().in_flight
    stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name="own"))
    failed = ended(stubs)
    assert failed.state == State.DRIVER_STATE_FAILED
    assert failed.error == 'the pool "own" was closed'
    detach(stubs)
    names = stubs.pool.ListPools
    eventually(lambda: [p.name for p in names(pool_pb2.ListPoolsRequest()).pools] == ["default"])


def test_a_closed_pool_keeps_its_share_of_memory_while_a_driver_has_it(start) -> None:
    _, stubs = start(limits={"max_pool_bytes": 2048 * 4096})
    wanted = pool_pb2.CreatePoolRequest(name="own", buffers=2048)
    other = pool_pb2.CreatePoolRequest(name="other", buffers=1)
    stubs.pool.CreatePool(wanted)
    attach(stubs, pool="own")
    stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name="own"))
    ended(stubs)
    eventually(lambda: stubs.statistics("own").in_flight == 0)
    assert refusal(partial(stubs.pool.CreatePool, wanted))[0] == grpc.StatusCode.ALREADY_EXISTS
    assert refusal(partial(stubs.pool.CreatePool, other))[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    detach(stubs)
    stubs.pool.CreatePool(other)


def test_a_stop_detaches_drivers_and_delivers_what_they_brought(start) -> None:
    daemon, stubs = start()
    subscriber = Subscriber(stubs, name="tap", quota=1024)
    attach(stubs, "one", line={"bits_per_second": GIGABIT})
    attach(stubs, "two", line={"frames_per_second": 1000})
    subscriber.read(until=1000)
    kept = [each.native for each in daemon._engine.drivers._attached.values() if each]
    stopping = threading.Thread(target=daemon.stop)
    stopping.start()
    subscriber.read()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    reports = [native.report() for native in kept]
    assert [report["ended"] for report in reports] == [True, True]
    for report in reports:
        lost = sum(count["frames"] for count in report["dropped"].values())
        assert report["offered"] == report["accepted"] + lost
    assert subscriber.told == sum(report["accepted"] for report in reports)


def test_what_happens_to_drivers_is_told(daemon: Daemon, stubs: Stubs) -> None:
    attach(stubs, "before", line={"frames": 1})
    ended(stubs, "before")
    watch = stubs.watch.WatchPools(watch_pb2.WatchPoolsRequest(), timeout=PATIENCE)
    watch.initial_metadata()
    told = (event for response in watch for event in response.events)

    def expect(kind: str, name: str, pool: str = "default") -> None:
        event = next(event for event in told if "DRIVER" in Kind.Name(event.kind))
        found = Kind.Name(event.kind).removeprefix("POOL_EVENT_KIND_DRIVER_").lower()
        assert (found, event.holder.name, event.pool) == (kind, name, pool)

    with daemon._engine.hub.attach_consumer("keeper", quota=1) as keeper:
        attach(stubs, line={"frames": 10})
        expect("attached", "card")
        expect("finished", "card")
        [kept] = keeper.poll(1)
        detach(stubs)
        expect("detached", "card")
        kept.release()
        expect("drained", "card")
    stubs.pool.CreatePool(pool_pb2.CreatePoolRequest(name="own", buffers=2048))
    attach(stubs, pool="own")
    expect("attached", "card", "own")
    stubs.pool.ClosePool(pool_pb2.ClosePoolRequest(name="own"))
    expect("failed", "card", "own")
    detach(stubs)
    expect("detached", "card", "own")
    watch.cancel()


def test_metrics_tell_drivers_and_forget_them(start) -> None:
    daemon, stubs = start(metrics="127.0.0.1:0", limits={"max_metric_names": 1})
    attach(stubs, "one", line={"frames": 100})
    ended(stubs, "one")
    assert value(daemon, "skbpool_drivers", state="finished") == 1
    assert value(daemon, "skbpool_driver_frames_total", driver="one") == 100
    assert value(daemon, "skbpool_driver_unclaimed_frames_total", driver="one") == 100
    detach(stubs, "one")
    assert value(daemon, "skbpool_drivers", state="finished") == 0
    assert value(daemon, "skbpool_driver_frames_total", driver="one") == 100
    attach(stubs, "two", line={"frames": 10})
    ended(stubs, "two")
    names = [dict(labels)["driver"] for name, labels in scrape(daemon) if name == FRAMES_TOTAL]
    assert names == ["two"]
