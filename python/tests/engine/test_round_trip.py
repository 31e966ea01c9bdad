"""Frames through the whole engine: message, buffers, message."""

from engine_messages import Given, numbered, request, subscribed
from hypothesis import given, settings
from hypothesis import strategies as st
from skbpool import Pool
from skbpool._native import FrameEncoder, Hub, IngestPort, Subscription, decode_subscribe

frame = st.builds(
    Given,
    data=st.one_of(
        st.binary(max_size=130),
        # Lengths are what matters here; random bytes of that size would cost hypothesis its search.
        st.one_of(st.integers(4090, 4100), st.integers(8000, 20_000)).map(
            lambda length: numbered([length])[0].data
        ),
    ),
    timestamp_ns=st.integers(0, (1 << 32) - 1).map(lambda ns: 1_700_000_000_000_000_000 + ns),
    original_length=st.one_of(st.none(), st.integers(0, 300_000)),
)


def same(found: list[Given], given_frames: list[Given]) -> bool:
    """Whether the frames are equal; an original length that is the length tells nothing."""
    return found == [
        frame._replace(original_length=None) if frame.original_length == len(frame.data) else frame
        for frame in given_frames
    ]


def drain(subscription: Subscription) -> list[bytes]:
    return list(iter(subscription.next_message, None))


@settings(deadline=None, max_examples=60)
@given(
    batches=st.lists(
        st.tuples(st.lists(frame, max_size=30), st.integers(0, 65_535), st.integers(0, 65_535)),
        max_size=4,
    ),
    order=st.integers(0, 2),
)
def test_every_byte_comes_out_as_it_went_in(
    batches: list[tuple[list[Given], int, int]], order: int
) -> None:
    pool = Pool(2048, order=order)
    hub = Hub(pool)
    with (
        IngestPort(hub, "in") as port,
        Subscription(hub, "out", quota=256, max_message_bytes=64_000) as subscription,
    ):
        for sequence, (frames, link_type, interface) in enumerate(batches, 1):
            port.submit(request(frames, sequence, link_type=link_type, interface=interface))
            messages = drain(subscription)
            assert same([frame for message in messages for frame in subscribed(message)], frames)
            assert all(len(message) <= 64_000 for message in messages)
            viewed = []
            for message in messages:
                batch, missed, _ = decode_subscribe(message)
                assert missed == {}
                viewed += [(bytes(skb), skb.timestamp_ns, skb.link_type, skb.port) for skb in batch]
            expected = [(f.data, f.timestamp_ns, link_type, interface) for f in frames]
            assert viewed == expected
    assert pool.stats().in_flight == 0
    pool.audit()


def test_frames_of_python_come_out_as_they_were_pushed() -> None:
    hub = Hub(Pool(2048))
    frames = numbered([60, 0, 1500, 9000, 262_144])
    encoder = FrameEncoder(300_000)
    messages = [
        encoder.push(frame.data, frame.timestamp_ns, interface=number // 3)
        for number, frame in enumerate(frames)
    ]
    messages.append(encoder.flush())
    with (
        IngestPort(hub, "in") as port,
        Subscription(hub, "out", quota=256, max_message_bytes=1 << 20) as subscription,
    ):
        for message in messages:
            if message is not None:
                port.submit(message)
        found = [frame for message in drain(subscription) for frame in subscribed(message)]
    assert found == frames
