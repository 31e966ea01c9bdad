"""Subscription and Bell: who is called, what is missed, when it ends."""

import threading

import pytest
import skbpool
from engine_messages import numbered, request, subscribed
from skbpool import Pool
from skbpool._native import Bell, Hub, IngestPort, Subscription
from skbpool.v1 import drop_reason_pb2, frame_pb2


@pytest.fixture
def hub() -> Hub:
    return Hub(Pool(2048))


def attach(hub: Hub, name: str = "out", **settings: object) -> Subscription:
    arguments = {"quota": 128, "max_message_bytes": 1 << 20, **settings}
    return Subscription(hub, name, **arguments)  # type: ignore[arg-type]


def test_a_bell_calls_who_has_frames(hub: Hub) -> None:
    bell = Bell()
    one, two = attach(hub, "one", bell=bell, token=1), attach(hub, "two", bell=bell, token=2)
    port = IngestPort(hub, "in")
    assert one.arm()
    port.submit(request(numbered([60])))
    assert bell.wait(30) == 1
    assert bell.wait(0) is None
    # Who did not ask is not called, and learns from arm() that there is something.
    assert not two.arm()
    for subscription in (one, two):
        message = subscription.next_message()
        assert message is not None
        assert len(subscribed(message)) == 1
        assert subscription.next_message() is None
        assert subscription.arm()
    port.submit(request(numbered([60]), 2))
    assert {bell.wait(30), bell.wait(30)} == {1, 2}
    with pytest.raises(ValueError, match="shares a bell"):
        one.wait(0)


def test_a_bell_is_rung_by_hand_from_another_thread() -> None:
    bell = Bell()
    thread = threading.Thread(target=bell.ring, args=(7,))
    thread.start()
    assert bell.wait(None) == 7
    thread.join()


def test_waiting_ends_with_a_frame(hub: Hub) -> None:
    port = IngestPort(hub, "in")
    with attach(hub) as subscription:
        assert not subscription.wait(0)
        thread = threading.Thread(target=lambda: port.submit(request(numbered([60]))))
        thread.start()
        assert subscription.wait(30)
        thread.join()
        assert subscription.wait(0)
        subscription.next_message()
        assert not subscription.wait(0)


@pytest.mark.parametrize("end", ["hub", "subscription"])
def test_waiting_ends_when_nothing_more_will_come(hub: Hub, end: str) -> None:
    subscription = attach(hub)
    waiting = threading.Event()
    answers = []

    def wait() -> None:
        waiting.set()
        answers.append(subscription.wait(None))

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    # Figures can be read while somebody waits.
    assert subscription.stats()["queued"] == 0
    (hub if end == "hub" else subscription).close()
    thread.join()
    assert answers == [False]
    assert subscription.finished


def test_what_was_missed_is_told_once(hub: Hub) -> None:
    port = IngestPort(hub, "in")
    subscription = attach(hub, quota=100)
    port.submit(request(numbered([60] * 130)))
    message = subscription.next_message()
    assert message is not None
    response = frame_pb2.SubscribeResponse.FromString(message)
    (missed,) = response.missed
    assert (missed.frames, missed.bytes) == (30, 1800)
    assert missed.reason == drop_reason_pb2.DROP_REASON_QUOTA
    assert len(response.batch.length) == 100
    assert subscription.next_message() is None
    assert subscription.stats() == {
        "name": "out",
        "offered": 130,
        "frames": 100,
        "bytes": 6000,
        "queued": 0,
        "held": 0,
        "held_bytes": 0,
        "quota": 100,
        "quota_bytes": None,
        "copied": 0,
        "copied_bytes": 0,
        "copies_held_bytes": 0,
        "copy_memory": 0,
        "waits": 0,
        "dropped": {"quota": {"frames": 30, "bytes": 1800}},
    }


def test_a_closed_hub_is_drained_and_then_finished(hub: Hub) -> None:
    port = IngestPort(hub, "in")
    subscription = attach(hub)
    port.submit(request(numbered([60])))
    hub.close()
    before = subscription.finished
    assert not subscription.arm()
    assert subscription.next_message() is not None
    assert (before, subscription.finished) == (False, True)
    assert not subscription.arm()
    assert subscription.next_message() is None


def test_closing_gives_everything_back(hub: Hub) -> None:
    pool = hub.pool
    port = IngestPort(hub, "in")
    subscription = attach(hub)
    port.submit(request(numbered([60] * 50)))
    subscription.close()
    subscription.close()
    assert subscription.finished
    assert subscription.stats()["offered"] == 50
    with pytest.raises(skbpool.Closed):
        subscription.next_message()
    port.submit(request(numbered([60])))
    gone = hub.stats()["detached_consumers"]
    assert gone["dropped"] == {"detached": {"frames": 50, "bytes": 3000}}
    port.close()
    assert (pool.stats().in_flight, pool.stats().reserved) == (0, 0)
    pool.audit()


def test_who_cannot_be_attached(hub: Hub) -> None:
    with pytest.raises(skbpool.PoolTooSmall, match='quota of consumer "out"'):
        attach(hub, quota=4096)
    with pytest.raises(ValueError, match="quota of 0"):
        attach(hub, quota=0)
    assert hub.pool.stats().reserved == 0
    hub.close()
    with pytest.raises(skbpool.PoolClosed):
        attach(hub)


def test_many_threads_fetch_every_frame_once(hub: Hub) -> None:
    port = IngestPort(hub, "in")
    subscription = attach(hub, quota=1024, max_message_bytes=2048)
    frames = numbered(range(1000))
    port.submit(request(frames))
    found = []

    def fetch() -> None:
        while (message := subscription.next_message()) is not None:
            found.extend(subscribed(message))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=lambda frame: len(frame.data)) == frames
