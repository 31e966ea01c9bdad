"""ServerService, reflection, and what every call has in common."""

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import grpc
import pytest
from batches import request
from daemon_support import PATIENCE, Stubs, refusal
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from skbpool.v1 import frame_pb2, lease_pb2, pool_pb2, server_pb2
from skbpool_service import __version__

Code = grpc.StatusCode


def test_info_tells_version_and_limits(stubs: Stubs) -> None:
    info = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest())
    assert (info.version, info.api_version) == (__version__, "v1")
    assert info.boot_id
    limits = info.limits
    assert (limits.max_streams, limits.max_ingest_streams) == (8, 8)
    assert (limits.max_sessions, limits.max_pools) == (4, 16)
    assert (limits.max_message_bytes, limits.max_frame_bytes) == (4 << 20, 262_144)
    assert (limits.max_quota, limits.default_quota) == (4096, 256)
    assert limits.max_handles_per_session == 4096
    assert "leases" in info.features


def test_statistics_tell_who_holds_what(stubs: Stubs) -> None:
    session = stubs.lease.OpenSession(lease_pb2.OpenSessionRequest(name="holder"))
    session_id = next(session).session_id
    stubs.lease.Allocate(lease_pb2.AllocateRequest(session_id=session_id, count=3))
    frames = [b"a" * 60, b"b" * 40]
    list(stubs.frame.Ingest(iter([request(frames, 1, "driver-a")])))
    answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    holders = {holder.name: holder for holder in answer.holders}
    assert holders["holder"].kind == server_pb2.HOLDER_KIND_SESSION
    assert (holders["holder"].count, holders["holder"].bytes) == (3, 3 * 4096)
    assert (holders["holder"].peak_count, holders["holder"].peak_bytes) == (3, 3 * 4096)
    age = holders["holder"].oldest_at_least.ToNanoseconds()
    assert 0 < age == holders["holder"].oldest_at_most.ToNanoseconds()
    again = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    ages = {holder.name: holder.oldest_at_least.ToNanoseconds() for holder in again.holders}
    assert ages["holder"] > age
    assert [pool.pool.name for pool in answer.pools] == ["default"]
    assert answer.pools[0].in_flight == 3
    session.cancel()


def test_statistics_tell_what_was_copied(stubs: Stubs) -> None:
    def landed() -> dict[int, int]:
        answer = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
        return {copy.stage: copy.bytes for copy in answer.copies}

    before = landed()
    list(stubs.frame.Ingest(iter([request([b"a" * 60, b"b" * 40], 1)])))
    after = landed()
    assert list(after) == list(range(1, len(server_pb2.CopyStage.keys())))
    grown = {stage: after[stage] - before[stage] for stage in after if after[stage] > before[stage]}
    assert grown == {server_pb2.COPY_STAGE_LAND: 100}


def test_statistics_list_drivers_while_they_are_attached(stubs: Stubs) -> None:
    def requests() -> Iterator[frame_pb2.IngestRequest]:
        yield request([b"a" * 60, b"b" * 40], 1, "driver-a")
        asked.append(stubs.server.GetStatistics(server_pb2.GetStatisticsRequest()))

    asked: list[server_pb2.GetStatisticsResponse] = []
    stream = stubs.frame.Ingest(requests())
    assert [response.accepted for response in stream][-1] == 2
    after = stubs.server.GetStatistics(server_pb2.GetStatisticsRequest())
    assert [driver.name for driver in asked[0].drivers] in ([], ["driver-a"])
    assert [driver.name for driver in after.drivers] == []


def test_an_unknown_method_is_unimplemented(stubs: Stubs) -> None:
    code, text = refusal(lambda: stubs.raw("/skbpool.v1.PoolService/Nothing", b"x"))
    assert code == Code.UNIMPLEMENTED
    assert "reflection" in text


def test_bytes_that_are_no_request_are_refused_on_every_method(stubs: Stubs) -> None:
    garbage = b"\xff" * 9
    for method in (
        "ServerService/GetServerInfo",
        "PoolService/CreatePool",
        "LeaseService/Allocate",
        "LeaseService/OpenSession",
        "FrameService/Subscribe",
        "FrameService/Ingest",
        "StampService/AttachStampReader",
    ):
        code, _ = refusal(partial(stubs.raw_stream, f"/skbpool.v1.{method}", [garbage]))
        assert code == Code.INVALID_ARGUMENT, method


def test_a_call_without_a_request_is_refused(stubs: Stubs) -> None:
    method = "/skbpool.v1.ServerService/GetServerInfo"
    code, text = refusal(lambda: stubs.raw_stream(method, []))
    assert (code, text) == (Code.INVALID_ARGUMENT, "the call has no request message")


@pytest.mark.parametrize("method", ["ServerService/GetServerInfo", "FrameService/Subscribe"])
def test_calls_that_send_nothing_do_not_keep_threads_for_ever(start: Any, method: str) -> None:
    _, stubs = start(request_timeout=0.2, limits={"max_unary_workers": 2, "max_streams": 2})
    silence = threading.Event()

    def requests() -> Iterator[bytes]:
        silence.wait()
        yield from ()

    open_call: Any = stubs.channel.stream_stream(f"/skbpool.v1.{method}")
    silent = [open_call(requests()) for _ in range(4)]
    try:
        assert stubs.server.GetServerInfo(
            server_pb2.GetServerInfoRequest(), timeout=PATIENCE
        ).version
        for call in silent:
            assert refusal(partial(list, call))[0] in (Code.CANCELLED, Code.RESOURCE_EXHAUSTED)
    finally:
        silence.set()


def test_many_calls_that_send_nothing_keep_nobody_waiting(start: Any) -> None:
    # By the time that such a call has otherwise, the 60 would take the two threads for 5 minutes.
    _, stubs = start(request_timeout=10.0, limits={"max_unary_workers": 2})
    silence = threading.Event()

    def requests() -> Iterator[bytes]:
        silence.wait()
        yield from ()

    open_call: Any = stubs.channel.stream_stream("/skbpool.v1.ServerService/GetServerInfo")
    silent = [open_call(requests()) for _ in range(60)]
    try:
        info = stubs.server.GetServerInfo(server_pb2.GetServerInfoRequest(), timeout=PATIENCE)
        assert info.version
        assert refusal(partial(list, silent[0]))[0] == Code.CANCELLED
    finally:
        silence.set()
        for call in silent:
            call.cancel()


def test_a_message_over_the_limit_is_refused_with_the_limit(start) -> None:
    _, stubs = start(limits={"max_message_bytes": 1 << 20, "max_frame_bytes": 1024})
    for size in (1 << 20) + 1, (2 << 20) + 1:  # refused by the handler, and by gRPC unread
        for method in ("ServerService/GetServerInfo", "FrameService/Ingest"):
            code, _ = refusal(partial(stubs.raw_stream, f"/skbpool.v1.{method}", [bytes(size)]))
            assert code == Code.RESOURCE_EXHAUSTED


def test_refusals_have_reasons_for_programs(stubs: Stubs) -> None:
    missing = pool_pb2.GetPoolStatisticsRequest(name="missing")
    with pytest.raises(grpc.RpcError) as caught:
        stubs.pool.GetPoolStatistics(missing, timeout=PATIENCE)
    status = rpc_status.from_call(cast("grpc.Call", caught.value))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("UNKNOWN_POOL", "skbpool.dev")


def test_a_compressed_request_is_refused_and_the_next_one_served(stubs: Stubs) -> None:
    call = stubs.server.GetServerInfo
    code, _ = refusal(
        lambda: call(server_pb2.GetServerInfoRequest(), compression=grpc.Compression.Gzip)
    )
    assert code == Code.UNIMPLEMENTED
    assert call(server_pb2.GetServerInfoRequest()).version


def test_reflection_lists_the_services(stubs: Stubs) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(stubs.channel)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    file = reflection_pb2.ServerReflectionRequest(file_containing_symbol="skbpool.v1.FrameBatch")
    listed, found = stub.ServerReflectionInfo(iter([ask, file]))
    names = {service.name for service in listed.list_services_response.service}
    assert {"skbpool.v1.FrameService", "skbpool.v1.LeaseService", "grpc.health.v1.Health"} <= names
    assert found.file_descriptor_response.file_descriptor_proto
