"""FrameService: frames in, frames out."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest
from batches import frames_of, numbered, request
from daemon_support import PATIENCE, Stubs, eventually, refusal
from driver import Driver
from skbpool.v1 import drop_reason_pb2, frame_pb2, server_pb2

Code = grpc.StatusCode


def open_driver(stubs: Stubs) -> Driver | None:
    """Open a stream, unless there are too many."""
    try:
        return Driver(stubs)
    except grpc.RpcError:
        return None


def subscribe(stubs: Stubs, **fields: Any) -> Any:
    wanted = frame_pb2.SubscribeRequest(**fields)
    stream: Any = stubs.frame.Subscribe(wanted, timeout=PATIENCE)
    stream.initial_metadata()
    if not stream.is_active():
        raise stream.exception()
    return stream


def take(stream: Iterator[frame_pb2.SubscribeResponse], count: int) -> list[bytes]:
    frames: list[bytes] = []
    while len(frames) < count:
        frames += frames_of(next(stream).batch)
    return frames


def test_frames_come_out_as_they_went_in(stubs: Stubs) -> None:
    tap = subscribe(stubs, name="tap")
    sent = [b"", b"x", b"y" * 60, b"z" * 1514]
    driver = Driver(stubs)
    assert driver.greeting.credit > 0
    assert driver.greeting.acked_through == 0
    answer = driver.send(request(sent, 1, "card", base_time_ns=1_700_000_000_000_000_000))
    assert (answer.acked_through, answer.accepted, answer.unclaimed) == (1, 4, 0)
    response = next(tap)
    assert list(frames_of(response.batch)) == sent
    assert response.batch.base_time_ns == 1_700_000_000_000_000_000
    assert (response.batch.sequence, response.batch.link_type) == (1, 1)
    driver.finish()
    tap.cancel()
    stubs.await_home()


def test_every_subscriber_gets_every_frame(stubs: Stubs) -> None:
    taps = [subscribe(stubs, name=f"tap-{number}", quota=200) for number in range(3)]
    frames = numbered(100)
    driver = Driver(stubs)
    driver.send(request(frames, 1))
    assert [take(tap, 100) for tap in taps] == [frames] * 3
    driver.finish()
    for tap in taps:
        tap.cancel()
    stubs.await_home()


def test_a_large_frame_is_a_chain(stubs: Stubs) -> None:
    tap = subscribe(stubs)
    frame = bytes(range(256)) * 1024
    assert len(frame) == 262_144
    driver = Driver(stubs)
    assert driver.send(request([frame], 1)).accepted == 1
    assert take(tap, 1) == [frame]
    driver.finish()
    tap.cancel()


def test_frames_that_nobody_wants_are_unclaimed(stubs: Stubs) -> None:
    driver = Driver(stubs)
    answer = driver.send(request(numbered(10), 1))
    assert (answer.accepted, answer.unclaimed, len(answer.dropped)) == (10, 10, 0)
    assert driver.send(request(numbered(5), 2)).unclaimed == 15
    driver.finish()
    stubs.await_home()


def test_what_a_subscriber_misses_is_told_to_it_alone(stubs: Stubs) -> None:
    slow, fast = subscribe(stubs, name="slow", quota=4), subscribe(stubs, name="fast", quota=200)
    driver = Driver(stubs)
    answer = driver.send(request(numbered(100), 1))
    assert answer.accepted == 100
    assert take(fast, 100) == numbered(100)
    got = missed = 0
    reasons = set()
    while got + missed < 100:
        response = next(slow)
        got += len(response.batch.length)
        missed += sum(drop.frames for drop in response.missed)
        reasons |= {drop.reason for drop in response.missed}
    assert got + missed == 100
    assert missed >= 96 - 4
    assert reasons <= {drop_reason_pb2.DROP_REASON_QUOTA, drop_reason_pb2.DROP_REASON_RING_FULL}
    driver.finish()
    slow.cancel()
    fast.cancel()


def malformed(kind: str) -> frame_pb2.IngestRequest:
    """Return a request that contradicts itself."""
    message = request([b"a" * 60, b"b" * 60], 2)
    batch = message.batch
    if kind == "lengths beyond the data":
        batch.length[1] = 61
    elif kind == "lengths short of the data":
        batch.length[1] = 59
    elif kind == "lengths that wrap":
        batch.length.extend([1 << 18] * (1 << 14))  # 2**32 bytes, 0 in 32 bits
    elif kind == "one time for two frames":
        batch.time_offset_ns.append(5)
    elif kind == "one original length for two frames":
        batch.original_length.append(60)
    elif kind == "time beyond 64 bits":
        batch.base_time_ns = (1 << 64) - 1
        batch.time_offset_ns.extend([1, 1])
    elif kind == "link type":
        batch.link_type = 65_536
    return message


@pytest.mark.parametrize(
    "kind",
    [
        "lengths beyond the data",
        "lengths short of the data",
        "lengths that wrap",
        "one time for two frames",
        "one original length for two frames",
        "time beyond 64 bits",
        "link type",
    ],
)
def test_a_malformed_batch_ends_the_stream_and_what_was_accepted_stays(
    stubs: Stubs, kind: str
) -> None:
    tap = subscribe(stubs)
    driver = Driver(stubs)
    assert driver.send(request(numbered(3), 1)).acked_through == 1
    code, text = refusal(lambda: driver.send(malformed(kind)))
    assert code == Code.INVALID_ARGUMENT
    assert text
    assert take(tap, 3) == numbered(3)
    # The daemon lives on.
    other = Driver(stubs)
    other.send(request(numbered(2), 1))
    assert take(tap, 2) == numbered(2)
    other.finish()
    tap.cancel()
    stubs.await_home()


@pytest.mark.parametrize("lengths", [[2**32 - 1, 5], [2**31, 2**31], [262_145, 1], [1]])
def test_lengths_that_do_not_add_up_are_no_batch(stubs: Stubs, lengths: list[int]) -> None:
    message = request([b"abcd"], 1)
    message.batch.length[:] = lengths
    code, _ = refusal(partial(Driver(stubs).send, message))
    assert code == Code.INVALID_ARGUMENT


def test_what_fits_no_message_is_counted_as_missed(stubs: Stubs) -> None:
    tap = stubs.frame.Subscribe(
        frame_pb2.SubscribeRequest(name="tap", quota=200, max_batch_bytes=1024)
    )
    tap.initial_metadata()
    frames = [bytes(1500)] * 100 + [bytes(60)] * 5
    list(stubs.frame.Ingest(iter([request(frames, 1)])))
    got = missed = 0
    while got + missed < 105:
        response = next(tap)
        got += len(response.batch.length)
        missed += sum(drop.frames for drop in response.missed)
    assert (got, missed) == (5, 100)
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    [told] = answer.consumers
    assert (told.frames, told.bytes) == (5, 300)
    drops = [(drop.reason, drop.frames, drop.bytes) for drop in told.drops]
    assert drops == [(drop_reason_pb2.DROP_REASON_TOO_LARGE, 100, 150_000)]
    assert [drop.frames for drop in answer.drops] == [100]
    tap.cancel()


def test_names_that_are_made_up_are_nobody_elses(stubs: Stubs) -> None:
    taps = []
    for name in ("consumer-1", "consumer-2", "", ""):
        taps.append(stubs.frame.Subscribe(frame_pb2.SubscribeRequest(name=name, quota=100)))
        taps[-1].initial_metadata()
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    names = {consumer.name for consumer in answer.consumers}
    assert len(names) == 4
    for tap in taps:
        tap.cancel()


def test_a_frame_over_the_limit_is_out_of_range(start) -> None:
    _, stubs = start(limits={"max_frame_bytes": 1000})
    driver = Driver(stubs)
    assert driver.send(request([b"a" * 1000], 1)).accepted == 1
    code, text = refusal(lambda: driver.send(request([b"b", b"a" * 1001], 2)))
    assert code == Code.OUT_OF_RANGE
    assert "1000" in text
    assert "1001" in text


def test_a_frame_over_the_wire_limit_is_out_of_range(stubs: Stubs) -> None:
    driver = Driver(stubs)
    assert refusal(lambda: driver.send(request([bytes(262_145)], 1)))[0] == Code.OUT_OF_RANGE


def test_a_name_is_checked_and_one_is_made_up(stubs: Stubs) -> None:
    assert refusal(lambda: Driver(stubs).send(request([b"x"], 1, "with space")))[0] == (
        Code.INVALID_ARGUMENT
    )
    driver = Driver(stubs)
    assert driver.send(request([b"x"], 1)).accepted == 1
    driver.finish()


def test_a_stream_closed_without_a_word_ends_in_order(stubs: Stubs) -> None:
    stream = stubs.frame.Ingest(iter([]))
    assert [response.acked_through for response in stream] == [0]
    assert stream.code() == Code.OK


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"quota": 4097}, Code.OUT_OF_RANGE),
        ({"quota": (1 << 32) - 1}, Code.OUT_OF_RANGE),
        ({"max_batch_bytes": (4 << 20) + 1}, Code.OUT_OF_RANGE),
        ({"max_batch_bytes": 1}, Code.OUT_OF_RANGE),
        ({"name": "with space"}, Code.INVALID_ARGUMENT),
    ],
)
def test_a_subscription_that_cannot_be_is_refused(
    stubs: Stubs, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    wanted = frame_pb2.SubscribeRequest(**fields)
    assert refusal(lambda: stubs.frame.Subscribe(wanted, timeout=PATIENCE))[0] == code
    stubs.await_home()


def test_a_pool_too_small_for_another_consumer_says_so_with_figures(stubs: Stubs) -> None:
    taps = [subscribe(stubs, quota=3000) for _ in range(2)]
    code, text = refusal(lambda: subscribe(stubs, quota=3000))
    assert code == Code.RESOURCE_EXHAUSTED
    assert "needs 3000 buffers at worst, and of 8192 buffers" in text
    for tap in taps:
        tap.cancel()
    stubs.await_home()


def test_the_largest_consumer_leaves_room_for_drivers(stubs: Stubs) -> None:
    most = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest()).limits.max_quota
    tap = subscribe(stubs, quota=most)
    assert refusal(lambda: subscribe(stubs, quota=most + 1))[0] == Code.OUT_OF_RANGE
    drivers = [Driver(stubs) for _ in range(4)]
    for number, driver in enumerate(drivers):
        driver.send(request(numbered(3), number + 1))
        assert take(tap, 3) == numbered(3)
        driver.finish()
    tap.cancel()


def test_a_small_largest_response_is_kept_to(stubs: Stubs) -> None:
    tap = subscribe(stubs, max_batch_bytes=2000, quota=300)
    driver = Driver(stubs)
    driver.send(request(numbered(200), 1))
    got: list[bytes] = []
    while len(got) < 200:
        response = next(tap)
        assert response.ByteSize() <= 2000
        got += frames_of(response.batch)
    assert got == numbered(200)
    driver.finish()
    tap.cancel()


def test_streams_are_limited_and_refused_at_once(stubs: Stubs) -> None:
    taps = [subscribe(stubs, quota=10) for _ in range(8)]
    code, text = refusal(lambda: subscribe(stubs, quota=10))
    assert (code, "limits.max_streams = 8" in text) == (Code.RESOURCE_EXHAUSTED, True)
    # Those that read keep no driver out.
    drivers = [Driver(stubs) for _ in range(8)]
    code, text = refusal(lambda: Driver(stubs))
    assert (code, "limits.max_ingest_streams = 8" in text) == (Code.RESOURCE_EXHAUSTED, True)
    drivers.pop().finish()
    another = eventually(lambda: open_driver(stubs))
    assert another is not None
    for driver in (*drivers, another):
        driver.finish()
    for tap in taps:
        tap.cancel()
    stubs.await_home()


def test_idle_subscriptions_hold_no_thread(start) -> None:
    _, stubs = start(limits={"max_streams": 40, "default_quota": 8}, pool={"buffers": 16_384})
    taps = [subscribe(stubs) for _ in range(40)]
    # The pool has a thread more only when none was idle: with all subscriptions open, a few served.
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("stream")]
    assert len(threads) < 20
    # And yet each of them is served when something arrives.
    driver = Driver(stubs)
    driver.send(request(numbered(3), 1))
    assert [take(tap, 3) for tap in taps] == [numbered(3)] * 40
    driver.finish()
    for tap in taps:
        tap.cancel()
    stubs.await_home()


def test_unary_calls_find_a_thread_while_streams_are_busy(stubs: Stubs) -> None:
    drivers = [Driver(stubs) for _ in range(8)]
    assert stubs.statistics().pool.name == "default"
    for driver in drivers:
        driver.finish()


def test_a_cancelled_driver_is_detached_and_its_frames_stay_delivered(stubs: Stubs) -> None:
    tap = subscribe(stubs)
    driver = Driver(stubs)
    driver.send(request(numbered(20), 1))
    driver.stream.cancel()
    assert take(tap, 20) == numbered(20)
    tap.cancel()
    stubs.await_home()


def test_stopping_delivers_what_was_accepted_and_tells_both_sides(start) -> None:
    daemon, stubs = start()
    tap = subscribe(stubs)
    driver = Driver(stubs)
    driver.send(request(numbered(50), 1))
    stopping = threading.Thread(target=daemon.stop)
    stopping.start()
    code, text = refusal(lambda: next(driver.stream))
    assert code == Code.UNAVAILABLE
    assert "acknowledged" in text
    got: list[bytes] = []
    for response in tap:
        got += frames_of(response.batch)
    assert got == numbered(50)
    assert tap.code() == Code.OK
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


def test_a_stream_that_is_busy_at_the_stop_tells_it_after_that(start) -> None:
    daemon, stubs = start()
    driver = Driver(stubs)
    (ingest,) = daemon._frames._ingesting
    with ingest._busy:
        batch = request(numbered(5), 1)
        sending = threading.Thread(target=partial(refusal, partial(driver.send, batch)))
        sending.start()
        daemon._frames.stop_ingest(0)
    sending.join(PATIENCE)
    assert not sending.is_alive(), "it was told, though nobody waited for it"
    assert stubs.statistics().alloc_fast + stubs.statistics().alloc_slow == 0, "nothing landed"
    # One that was busy sending an acknowledgement, and whose client sends nothing more.
    daemon, stubs = start()
    driver = Driver(stubs)
    (ingest,) = daemon._frames._ingesting
    with ingest._busy:
        daemon._frames.stop_ingest(0)
    ingest._acknowledge()
    assert refusal(lambda: next(driver.stream))[0] == Code.UNAVAILABLE
