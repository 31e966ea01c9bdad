"""LeasePort: skbs that were made elsewhere are delivered and used up."""

import pytest
import skbpool
from engine_messages import subscribed
from skbpool import Pool, Skb
from skbpool._native import Hub, LeasePort, Subscription


def leased(pool: Pool, data: bytes) -> Skb:
    buffer = pool.alloc()
    memoryview(buffer)[: len(data)] = data
    return buffer.into_skb(0, len(data))


def test_skbs_are_delivered_and_used_up() -> None:
    pool = Pool(256)
    hub = Hub(pool)
    with (
        LeasePort(hub, "lease") as port,
        Subscription(hub, "out", quota=2, max_message_bytes=4096) as subscription,
    ):
        skbs = [leased(pool, data) for data in (b"one", b"two", b"three")]
        skbs[0].timestamp_ns = 42
        told = port.deliver(skbs)
        assert (told["delivered"], told["unclaimed"]) == (2, 0)
        assert told["dropped"] == subscription.stats()["dropped"]
        assert sum(totals["bytes"] for totals in told["dropped"].values()) == 5
        assert all(skb.is_released for skb in skbs)
        message = subscription.next_message()
        assert message is not None
        found = subscribed(message)
        assert [frame.data for frame in found] == [b"one", b"two"]
        assert port.stats()["frames"] == 3
    assert pool.stats().in_flight == 0


def test_without_a_consumer_they_are_unclaimed() -> None:
    pool = Pool(64)
    port = LeasePort(Hub(pool), "lease")
    told = port.deliver([leased(pool, b"frame")])
    assert told == {"delivered": 0, "unclaimed": 1, "dropped": {}}
    assert port.deliver([]) == {"delivered": 0, "unclaimed": 0, "dropped": {}}
    assert pool.stats().in_flight == 0


def test_an_skb_named_twice_delivers_nothing() -> None:
    pool = Pool(64)
    port = LeasePort(Hub(pool), "lease")
    skb = leased(pool, b"frame")
    with pytest.raises(skbpool.BufferReleased):
        port.deliver([skb, skb])
    with pytest.raises(TypeError):
        port.deliver([b"frame"])  # type: ignore[list-item]
    assert port.stats()["frames"] == 0
    assert pool.stats().in_flight == 0


def test_a_closed_port_leaves_the_skbs_alone() -> None:
    pool = Pool(64)
    hub = Hub(pool)
    port = LeasePort(hub, "lease")
    port.close()
    skb = leased(pool, b"frame")
    with pytest.raises(skbpool.Closed):
        port.deliver([skb])
    assert bytes(skb) == b"frame"
    hub.close()
    with pytest.raises(skbpool.PoolClosed):
        LeasePort(hub, "late")
