"""The refusal of buffers that a pool does not have: how it stands, and who has them."""

import grpc
import skbpool
from skbpool.v1 import holder_pb2

from skbpool_service.engine import Engine
from skbpool_service.holders import holders_of
from skbpool_service.refusal import RETRY_SECONDS, Refusal
from skbpool_service.rpc.convert import holder_message
from skbpool_service.sessions import Sessions

MAX_HOLDERS = 8
"""Most holders that a refusal names: it travels in a header, whose size clients limit."""


def exhaustion(pool: skbpool.Pool, engine: Engine, sessions: Sessions, count: int) -> Refusal:
    """Return the refusal of `count` buffers of a pool that has too few."""
    stats = pool.stats()
    found = holders_of(pool, engine, sessions)
    told = found[:MAX_HOLDERS]
    text = (
        f"{count} buffers were asked for, and of {stats.buffers} buffers of the pool "
        f"{stats.reserved} are promised to drivers and consumers or lent, {stats.in_flight} in "
        "flight; release some, or try again when others did"
    )
    if told:
        text += f'; the {told[0].kind} "{told[0].name}" holds most, {told[0].count}'
    detail = holder_pb2.PoolExhaustion(
        pool=stats.name,
        buffers=stats.buffers,
        in_flight=stats.in_flight,
        reserved=stats.reserved,
        requested=count,
        holders=map(holder_message, told),
        more_holders=len(found) - len(told),
    )
    return Refusal(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "POOL_EXHAUSTED",
        text,
        # More than there are will not be there later either.
        retry_after=RETRY_SECONDS if count <= stats.buffers else None,
        detail=detail,
        pool=stats.name,
    )
