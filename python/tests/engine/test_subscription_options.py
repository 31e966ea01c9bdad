"""Subscription: policies, full messages, frames that wait for more, frames that are cut."""

import threading

import pytest
from engine_messages import numbered, request, subscribed
from skbpool import Pool
from skbpool._native import Hub, IngestPort, Subscription


@pytest.fixture
def hub() -> Hub:
    return Hub(Pool(2048))


def attach(hub: Hub, **settings: object) -> Subscription:
    arguments = {"quota": 128, "max_message_bytes": 1 << 20, **settings}
    return Subscription(hub, "out", **arguments)  # type: ignore[arg-type]


def test_a_copy_leaves_the_pool_free(hub: Hub) -> None:
    with attach(hub, quota=10, policy="copy_out", copy_bytes=50 * 4096) as subscription:
        port = IngestPort(hub, "in")
        frames = numbered([4000] * 60)
        port.submit(request(frames))
        assert hub.pool.stats().in_flight == 10
        message = subscription.next_message()
        assert message is not None
        assert subscribed(message) == frames
        stats = subscription.stats()
        assert (stats["copied"], stats["copy_memory"], stats["dropped"]) == (50, 50 * 4096, {})
        port.close()


def test_what_is_held_is_limited_in_bytes_too(hub: Hub) -> None:
    with attach(hub, quota_bytes=10 * 4096) as subscription:
        IngestPort(hub, "in").submit(request(numbered([4096] * 30)))
        stats = subscription.stats()
        assert (stats["queued"], stats["quota_bytes"]) == (10, 40_960)
        assert stats["dropped"]["quota"]["frames"] == 20


def test_frames_are_cut_and_few_in_a_message(hub: Hub) -> None:
    with attach(hub, snapshot_length=100, max_message_frames=2) as subscription:
        IngestPort(hub, "in").submit(request(numbered([60, 4000, 9000])))
        found = []
        while (message := subscription.next_message()) is not None:
            frames = subscribed(message)
            found.append([(len(frame.data), frame.original_length) for frame in frames])
        assert found == [[(60, None), (100, 4000)], [(100, 9000)]]


def lingers(subscription: Subscription) -> float | None:
    return subscription.lingers_for


def test_frames_wait_for_more_until_the_hub_is_closed(hub: Hub) -> None:
    with attach(hub, linger=3600.0) as subscription:
        port = IngestPort(hub, "in")
        assert lingers(subscription) is None
        port.submit(request(numbered([60])))
        assert subscription.wait(0), "it arrived"
        assert subscription.next_message() is None
        left = lingers(subscription)
        assert left is not None
        assert 0 < left <= 3600
        assert not subscription.wait(0)
        closer = threading.Thread(target=hub.close)
        closer.start()
        assert subscription.wait(30), "it is to leave"
        closer.join()
        message = subscription.next_message()
        assert message is not None
        assert lingers(subscription) is None
        assert subscription.finished


def test_their_time_is_over(hub: Hub) -> None:
    with attach(hub, linger=0.001) as subscription:
        IngestPort(hub, "in").submit(request(numbered([60])))
        message = None
        while message is None:
            assert subscription.wait(30)
            message = subscription.next_message()
        assert len(subscribed(message)) == 1


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"policy": "keep"}, "a policy is"),
        ({"policy": "copy_out"}, "needs copy_bytes"),
        ({"policy": "copy_out", "copy_bytes": 100}, "100 bytes"),
        ({"block_at_most": 1.0}, "no other policy"),
        ({"policy": "block", "block_at_most": -1.0}, "block_at_most"),
        ({"linger": float("nan")}, "linger"),
        ({"max_message_frames": 0}, "zero"),
    ],
)
def test_settings_that_make_no_sense(hub: Hub, settings: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        attach(hub, **settings)
    assert hub.pool.stats().reserved == 0
