"""Figures of the engine as messages."""

from collections.abc import Mapping
from typing import Any

import skbpool
from google.protobuf.duration_pb2 import Duration
from skbpool.v1 import drop_reason_pb2, pool_pb2, server_pb2

from skbpool_service.holders import SESSION, Holding
from skbpool_service.ledger import CONSUMER, DRIVER

_STATES = {
    "open": pool_pb2.POOL_STATE_OPEN,
    "orphaned": pool_pb2.POOL_STATE_ORPHANED,
    "closed": pool_pb2.POOL_STATE_CLOSED,
}

REASONS: list[str] = [
    name.removeprefix("DROP_REASON_").lower() for name in drop_reason_pb2.DropReason.keys()[1:]
]
"""Every reason to drop a frame, as in metrics and JSON."""


def drops(by_reason: Mapping[str, Any]) -> list[drop_reason_pb2.DropCount]:
    """Return drops by reason (`{"quota": {"frames": 1, "bytes": 60}}`) as messages."""
    return [
        drop_reason_pb2.DropCount(
            reason=drop_reason_pb2.DropReason.Value(f"DROP_REASON_{reason.upper()}"),
            frames=count["frames"],
            bytes=count["bytes"],
        )
        for reason, count in by_reason.items()
    ]


def duration(seconds: float) -> Duration:
    """Return a number of seconds as a message."""
    message = Duration()
    message.FromNanoseconds(round(seconds * 1e9))
    return message


def copies() -> list[server_pb2.CopyCount]:
    """Return what each stage of this process copied as messages."""
    return [
        server_pb2.CopyCount(
            stage=server_pb2.CopyStage.Value(f"COPY_STAGE_{stage.upper()}"),
            frames=count["frames"],
            bytes=count["bytes"],
        )
        for stage, count in skbpool.copies().items()
    ]


_KINDS = {
    DRIVER: server_pb2.HOLDER_KIND_DRIVER,
    CONSUMER: server_pb2.HOLDER_KIND_CONSUMER,
    SESSION: server_pb2.HOLDER_KIND_SESSION,
}


def holder_message(holding: Holding) -> server_pb2.Holder:
    """Return what one holder has as a message."""
    message = server_pb2.Holder(
        name=holding.name,
        kind=_KINDS[holding.kind],
        count=holding.count,
        bytes=holding.bytes,
        peak_count=holding.peak_count,
        peak_bytes=holding.peak_bytes,
        session=holding.session,
        gone=holding.gone,
    )
    if holding.count:
        message.oldest_at_least.FromNanoseconds(int(holding.oldest_at_least * 1e9))
        message.oldest_at_most.FromNanoseconds(int(holding.oldest_at_most * 1e9))
    return message


def pool_message(pool: skbpool.Pool, closed_at: int = 0) -> pool_pb2.Pool:
    """Return what a pool is as a message; `closed_at` as `Pools.closed_at` tells it."""
    return _pool(pool, pool.stats(), pool.watermarks(), closed_at)


def pool_statistics(pool: skbpool.Pool, closed_at: int = 0) -> pool_pb2.PoolStatistics:
    """Return the counters of a pool as a message; `closed_at` as `Pools.closed_at` tells it."""
    stats = pool.stats()
    marks = pool.watermarks()
    return pool_pb2.PoolStatistics(
        pool=_pool(pool, stats, marks, closed_at),
        free=stats.free,
        cached=stats.cached,
        in_flight=stats.in_flight,
        alloc_fast=stats.alloc_fast,
        alloc_slow=stats.alloc_slow,
        alloc_empty=stats.alloc_empty,
        releases=stats.releases,
        violations=stats.violations,
        reserved=stats.reserved,
        low_watermark=marks.low,
        high_watermark=marks.high,
        is_low=marks.is_low,
        low_crossings=marks.low_crossings,
        high_crossings=marks.high_crossings,
        exhaustions=marks.exhaustions,
    )


def _pool(
    pool: skbpool.Pool, stats: skbpool.PoolStats, marks: skbpool.WatermarkStats, closed_at: int
) -> pool_pb2.Pool:
    message = pool_pb2.Pool(
        name=stats.name,
        buffers=stats.buffers,
        buffer_bytes=stats.buffer_bytes,
        order=(stats.buffer_bytes // 4096).bit_length() - 1,
        state=_STATES[stats.state],
        watermarks=pool_pb2.Watermarks(low=marks.low, high=marks.high),
        is_low=marks.is_low,
        in_flight=stats.in_flight,
        is_huge=pool.is_huge,
    )
    if closed_at:
        message.closed_at.FromNanoseconds(closed_at)
    return message
