"""StampService."""

from typing import Any

import grpc
from batches import numbered, request
from daemon_support import Stubs, eventually, refusal
from skbpool._native import EmulatedNic
from skbpool.v1 import frame_pb2, stamp_pb2

Code = grpc.StatusCode


def attach(stubs: Stubs, stream: int = 1, quota: int = 0):
    call = stubs.stamp.AttachStampReader(
        stamp_pb2.AttachStampReaderRequest(stream=stream, quota=quota)
    )
    return call, stamp_pb2.GetStampReportRequest(reader_id=next(call).reader_id)


def reader_or_none(stubs: Stubs, asked: stamp_pb2.AttachStampReaderRequest) -> Any:
    """Attach a reader, unless there are too many."""
    call = stubs.stamp.AttachStampReader(asked)
    try:
        next(call)
    except grpc.RpcError:
        return None
    return call


def test_a_reader_sees_every_stamped_frame(stubs: Stubs) -> None:
    call, wanted = attach(stubs, stream=5, quota=512)
    nic = EmulatedNic(rate="10kpps", size=64, frames=500, stream=5, buffers=256, ring=64)
    nic.start()

    def requests():
        sequence = 1
        while message := nic.next_request(1 << 16, 0.001, sequence):
            yield message
            sequence += 1

    ingest: Any = stubs.channel.stream_stream(
        "/skbpool.v1.FrameService/Ingest",
        response_deserializer=frame_pb2.IngestResponse.FromString,
    )
    assert list(ingest(requests()))[-1].accepted == 500
    nic.stop()
    report = eventually(lambda: stubs.stamp.GetStampReport(wanted), lambda r: r.received == 500)
    assert (report.lost, report.duplicated, report.reordered, report.foreign) == (0, 0, 0, 0)
    assert report.latency_count == 500
    assert 0 < report.latency_p50_seconds <= report.latency_p99_seconds
    assert report.latency_p99_seconds <= report.latency_max_seconds
    call.cancel()
    stubs.await_home()


def test_frames_without_its_stamps_are_foreign(stubs: Stubs) -> None:
    call, wanted = attach(stubs)
    list(stubs.frame.Ingest(iter([request(numbered(9), 1)])))
    report = eventually(lambda: stubs.stamp.GetStampReport(wanted), lambda r: r.foreign == 9)
    assert report.received == 0
    assert report.latency_count == 0
    call.cancel()


def test_a_reader_is_gone_with_its_stream(stubs: Stubs) -> None:
    call, wanted = attach(stubs)
    stubs.stamp.GetStampReport(wanted)
    call.cancel()
    stubs.await_home()
    assert refusal(lambda: stubs.stamp.GetStampReport(wanted))[0] == Code.NOT_FOUND


def test_readers_that_cannot_be_are_refused(stubs: Stubs) -> None:
    assert refusal(lambda: attach(stubs, quota=4097))[0] == Code.OUT_OF_RANGE
    call, _ = attach(stubs, quota=4096)
    assert refusal(lambda: attach(stubs, quota=4096))[0] == Code.RESOURCE_EXHAUSTED
    call.cancel()
    unknown = stamp_pb2.GetStampReportRequest(reader_id="nobody")
    assert refusal(lambda: stubs.stamp.GetStampReport(unknown))[0] == Code.NOT_FOUND
    stubs.await_home()


def test_readers_count_as_streams(start) -> None:
    _, stubs = start(limits={"max_streams": 1})
    call, _ = attach(stubs)
    assert refusal(lambda: attach(stubs))[0] == Code.RESOURCE_EXHAUSTED
    call.cancel()


def test_a_reader_that_asks_for_it_misses_nothing(start: Any) -> None:
    _, stubs = start(limits={"max_block_seconds": 30.0})
    asked = stamp_pb2.AttachStampReaderRequest(stream=1, quota=8, block_ms=30_000)
    call = stubs.stamp.AttachStampReader(asked)
    wanted = stamp_pb2.GetStampReportRequest(reader_id=next(call).reader_id)
    sent = [request(numbered(500), number) for number in range(1, 21)]
    assert list(stubs.frame.Ingest(iter(sent)))[-1].accepted == 10_000
    report = eventually(lambda: stubs.stamp.GetStampReport(wanted), lambda r: r.foreign == 10_000)
    assert list(report.dropped) == []
    call.cancel()
    stubs.await_home()


def test_deliveries_wait_no_longer_than_the_daemon_allows(stubs: Stubs) -> None:
    asked = stamp_pb2.AttachStampReaderRequest(stream=1, block_ms=1)
    code, text = refusal(lambda: stubs.stamp.AttachStampReader(asked))
    assert code is Code.OUT_OF_RANGE
    assert "limits.max_block_seconds = 0" in text
    stubs.await_home()


def test_an_inline_reader_has_read_what_was_acknowledged(stubs: Stubs) -> None:
    asked = stamp_pb2.AttachStampReaderRequest(stream=1, quota=512, inline=True)
    call = stubs.stamp.AttachStampReader(asked)
    wanted = stamp_pb2.GetStampReportRequest(reader_id=next(call).reader_id)
    sent = [request(numbered(500), number) for number in range(1, 21)]
    assert list(stubs.frame.Ingest(iter(sent)))[-1].accepted == 10_000
    report = stubs.stamp.GetStampReport(wanted)
    assert (report.foreign, list(report.dropped)) == (10_000, [])
    call.cancel()
    stubs.await_home()


def test_inline_readers_are_limited(start: Any) -> None:
    _, stubs = start(limits={"max_inline_readers": 1})
    asked = stamp_pb2.AttachStampReaderRequest(stream=1, quota=8, inline=True)
    call = stubs.stamp.AttachStampReader(asked)
    next(call)
    code, text = refusal(lambda: next(stubs.stamp.AttachStampReader(asked)))
    assert (code, "limits.max_inline_readers = 1" in text) == (Code.RESOURCE_EXHAUSTED, True)
    other, _ = attach(stubs, quota=8)  # of its own thread
    call.cancel()
    wanted = eventually(lambda: reader_or_none(stubs, asked))
    assert wanted is not None
    for each in (other, wanted):
        each.cancel()
    stubs.await_home()


def test_an_inline_reader_makes_nobody_wait(start: Any) -> None:
    _, stubs = start(limits={"max_block_seconds": 1.0})
    asked = stamp_pb2.AttachStampReaderRequest(stream=1, inline=True, block_ms=1)
    code, text = refusal(lambda: stubs.stamp.AttachStampReader(asked))
    assert code is Code.INVALID_ARGUMENT
    assert "inline" in text
