"""What a subscriber may ask for: whole messages, cut frames, policies; and what it may not."""

from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import pytest
from batches import frames_of, numbered, request
from daemon_support import PATIENCE, Stubs, eventually, refusal
from driver import Driver
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from skbpool.v1 import frame_pb2, server_pb2

Code = grpc.StatusCode

BLOCK, COPY_OUT = frame_pb2.SUBSCRIBE_POLICY_BLOCK, frame_pb2.SUBSCRIBE_POLICY_COPY_OUT
MIB = 1 << 20


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


def subscribe(stubs: Stubs, **fields: Any) -> Any:
    stream: Any = stubs.frame.Subscribe(
        frame_pb2.SubscribeRequest(**fields), timeout=PATIENCE, wait_for_ready=True
    )
    stream.initial_metadata()
    if not stream.is_active():
        raise stream.exception()
    return stream


def opened(stubs: Stubs, **fields: Any) -> Any:
    """Subscribe, unless it is refused."""
    try:
        return subscribe(stubs, **fields)
    except grpc.RpcError:
        return None


def violations(call: Callable[[], object]) -> list[str]:
    """Return the fields that a refusal names."""
    try:
        call()
    except grpc.RpcError as error:
        told: Any = error
        [value] = [it.value for it in told.trailing_metadata() if "status-details" in it.key]
    found, wrong = [], error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(value).details:
        if detail.Unpack(wrong):
            found += [violation.field for violation in wrong.field_violations]
    return found


def test_frames_are_cut_and_their_length_is_told(stubs: Stubs) -> None:
    tap = subscribe(stubs, snapshot_length=64)
    driver = Driver(stubs)
    frames = [b"a" * 60, b"b" * 64, b"c" * 65, b"d" * 9000]
    driver.send(request(frames, 1))
    got: list[bytes] = []
    originals: list[int] = []
    while len(got) < 4:
        batch = next(tap).batch
        got += frames_of(batch)
        originals += batch.original_length or batch.length
    assert got == [frame[:64] for frame in frames]
    assert originals == [60, 64, 65, 9000]
    driver.finish()
    tap.cancel()


def test_a_response_has_no_more_frames_than_asked_for(stubs: Stubs) -> None:
    tap = subscribe(stubs, max_batch_frames=7)
    driver = Driver(stubs)
    driver.send(request(numbered(30), 1))
    got: list[bytes] = []
    while len(got) < 30:
        frames = list(frames_of(next(tap).batch))
        assert len(frames) <= 7
        got += frames
    assert got == numbered(30)
    driver.finish()
    tap.cancel()


def test_a_frame_does_not_wait_for_ever(stubs: Stubs) -> None:
    taps = [subscribe(stubs, linger=seconds(linger)) for linger in (0.3, 0.001, 0.02)]
    driver = Driver(stubs)
    for sequence in (1, 2):
        driver.send(request(numbered(3), sequence))
        assert [list(frames_of(next(tap).batch)) for tap in taps] == [numbered(3)] * 3
    driver.finish()
    for tap in taps:
        tap.cancel()
    stubs.await_home()


def test_frames_that_wait_share_a_response(stubs: Stubs) -> None:
    tap = subscribe(stubs, linger=seconds(10), max_batch_frames=100)
    driver = Driver(stubs)
    frames = numbered(100)
    for sequence, frame in enumerate(frames, 1):
        driver.send(request([frame], sequence))
    assert list(frames_of(next(tap).batch)) == frames
    # Half of its quota is as good as full.
    driver.send(request(numbered(90), 101))
    driver.send(request(numbered(90), 102))
    assert len(next(tap).batch.length) == 100
    driver.finish()
    tap.cancel()
    stubs.await_home()


def test_what_waits_is_sent_when_the_daemon_stops(start) -> None:
    daemon, stubs = start()
    tap = subscribe(stubs, linger=seconds(10))
    driver = Driver(stubs)
    driver.send(request(numbered(5), 1))
    driver.finish()
    daemon.stop()
    assert [list(frames_of(response.batch)) for response in tap] == [numbered(5)]
    assert tap.code() == Code.OK


def test_a_quota_of_bytes_holds(stubs: Stubs) -> None:
    tap = subscribe(stubs, quota=200, quota_bytes=4096)
    driver = Driver(stubs)
    driver.send(request([bytes(4000)] * 100, 1))
    got = missed = 0
    while got + missed < 100:
        response = next(tap)
        got += len(response.batch.length)
        missed += sum(drop.frames for drop in response.missed)
    assert missed >= 90
    driver.finish()
    tap.cancel()


def test_a_subscriber_that_blocks_misses_nothing(start) -> None:
    _, stubs = start(limits={"max_block_seconds": 20.0})
    tap = subscribe(stubs, quota=4, policy=BLOCK, block_at_most=seconds(20))
    driver = Driver(stubs)
    driver.send(request(numbered(200), 1))
    got: list[bytes] = []
    while len(got) < 200:
        response = next(tap)
        assert not response.missed
        got += frames_of(response.batch)
    assert got == numbered(200)
    driver.finish()
    tap.cancel()


def test_the_limits_are_told(start) -> None:
    _, stubs = start(limits={"max_block_seconds": 1.5, "max_copy_bytes": 5 * MIB})
    limits = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest()).limits
    assert limits.max_quota_bytes == limits.max_quota * 4096
    assert limits.max_copy_bytes == 5 * MIB
    assert limits.max_linger == seconds(10)
    assert limits.max_block == seconds(1.5)


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ({"policy": 77}, Code.INVALID_ARGUMENT, "SUBSCRIBE_POLICY_COPY_OUT"),
        ({"policy": BLOCK}, Code.INVALID_ARGUMENT, "needs block_at_most"),
        ({"block_at_most": seconds(1)}, Code.INVALID_ARGUMENT, "this is DROP_NEWEST"),
        ({"policy": BLOCK, "block_at_most": seconds(9)}, Code.OUT_OF_RANGE, "max_block_seconds"),
        ({"copy_bytes": 8192}, Code.INVALID_ARGUMENT, "for the policy COPY_OUT"),
        ({"copy_bytes": 4095, "policy": COPY_OUT}, Code.OUT_OF_RANGE, "4096 to"),
        ({"copy_bytes": 1 << 63, "policy": COPY_OUT}, Code.OUT_OF_RANGE, "max_copy_bytes"),
        ({"quota": 4097}, Code.OUT_OF_RANGE, "limits.max_quota = 4096"),
        ({"quota_bytes": 4095}, Code.OUT_OF_RANGE, "4096 to"),
        ({"quota_bytes": 4096 * 4096 + 1}, Code.OUT_OF_RANGE, "max_quota"),
        ({"linger": seconds(10.5)}, Code.OUT_OF_RANGE, "limits.max_linger_seconds = 10"),
        ({"linger": Duration(seconds=10, nanos=1)}, Code.OUT_OF_RANGE, "10.000000001 s, longer"),
        ({"linger": Duration(seconds=-1)}, Code.INVALID_ARGUMENT, "0 or more"),
        ({"linger": Duration(nanos=1 << 30)}, Code.INVALID_ARGUMENT, "999999999"),
        ({"snapshot_length": 262_145}, Code.OUT_OF_RANGE, "limits.max_frame_bytes"),
        ({"max_batch_bytes": 1023}, Code.OUT_OF_RANGE, "1024 to"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    start, fields: dict[str, Any], code: grpc.StatusCode, text: str
) -> None:
    _, stubs = start(limits={"max_block_seconds": 2.0})
    call = partial(subscribe, stubs, **fields)
    told, sentence = refusal(call)
    assert (told, text in sentence) == (code, True), sentence
    # Of several fields the one that is wrong is the first here.
    assert violations(call)[0] in fields | {"block_at_most": 0}
    stubs.await_home()


def test_policies_that_the_daemon_does_not_offer(start) -> None:
    _, stubs = start(limits={"max_copy_bytes": 0})
    for fields in ({"policy": BLOCK, "block_at_most": seconds(1)}, {"policy": COPY_OUT}):
        call = partial(subscribe, stubs, **fields)
        code, text = refusal(call)
        assert (code, "ask for another policy" in text) == (Code.FAILED_PRECONDITION, True)
        assert violations(call) == ["policy"]


def test_the_memory_of_copies_is_limited_together(start) -> None:
    _, stubs = start(limits={"max_copy_bytes": 8 * MIB, "max_copy_out_streams": 2})
    first = subscribe(stubs, policy=COPY_OUT, copy_bytes=6 * MIB, name="x" * 63)
    code, text = refusal(lambda: subscribe(stubs, policy=COPY_OUT, copy_bytes=3 * MIB))
    assert (code, "limits.max_copy_bytes" in text) == (Code.RESOURCE_EXHAUSTED, True)
    assert f"{2 * MIB} bytes more" in text
    second = subscribe(stubs, policy=COPY_OUT)  # a sixteenth of 8 MiB
    code, text = refusal(lambda: subscribe(stubs, policy=COPY_OUT, copy_bytes=4096))
    assert (code, "limits.max_copy_out_streams = 2" in text) == (Code.RESOURCE_EXHAUSTED, True)
    first.cancel()
    third = eventually(partial(opened, stubs, policy=COPY_OUT, copy_bytes=7 * MIB))
    for tap in (second, third):
        tap.cancel()
    stubs.await_home()
    # What was refused holds nothing of what is limited.
    again = eventually(partial(opened, stubs, policy=COPY_OUT, copy_bytes=8 * MIB))
    again.cancel()


def test_a_driver_is_told_what_a_policy_drops(stubs: Stubs) -> None:
    slow = [
        subscribe(stubs, quota=4, policy=policy)
        for policy in (
            frame_pb2.SUBSCRIBE_POLICY_DROP_NEWEST,
            frame_pb2.SUBSCRIBE_POLICY_DROP_OLDEST,
        )
    ]
    driver = Driver(stubs)
    answer = driver.send(request(numbered(200), 1))
    assert (answer.accepted, len(answer.dropped)) == (200, 0)
    told = sum(drop.frames for drop in answer.missed)
    answer = driver.send(request([], 2))
    assert sum(drop.frames for drop in answer.missed) == told
    # As many as the subscribers are told.
    missed = got = 0
    for tap in slow:
        left = 200
        while left:
            response = next(tap)
            here = sum(drop.frames for drop in response.missed)
            missed += here
            got += len(response.batch.length)
            left -= here + len(response.batch.length)
    assert (told, got + missed) == (missed, 400)
    assert missed > 0
    driver.finish()
    for tap in slow:
        tap.cancel()
