"""Verbs of the services that tell about the daemon, its pools and its holders."""

from typing import Literal, get_args

from skbpool.client.request import request_of
from skbpool.client.verbs.verb import Verb, whole
from skbpool.errors import BadPool
from skbpool.v1 import holder_pb2, pool_pb2, server_pb2

_SERVER = "/skbpool.v1.ServerService/"
_POOL = "/skbpool.v1.PoolService/"
_HOLDER = "/skbpool.v1.HolderService/"

HugePages = Literal["never", "try", "require"]
"""Whether the memory of a pool lies on huge pages; "try": if there are as many."""


def server_info() -> Verb[server_pb2.GetServerInfoResponse]:
    """Ask what the daemon is and allows."""
    request = server_pb2.GetServerInfoRequest()
    return Verb(f"{_SERVER}GetServerInfo", request, server_pb2.GetServerInfoResponse, whole)


def statistics() -> Verb[server_pb2.GetStatisticsResponse]:
    """Ask for all counters."""
    request = server_pb2.GetStatisticsRequest()
    return Verb(f"{_SERVER}GetStatistics", request, server_pb2.GetStatisticsResponse, whole)


def pools() -> Verb[list[pool_pb2.Pool]]:
    """Ask for all pools."""
    request, response = pool_pb2.ListPoolsRequest(), pool_pb2.ListPoolsResponse
    return Verb(f"{_POOL}ListPools", request, response, lambda answer: list(answer.pools))


def create_pool(
    name: str,
    buffers: int,
    order: int,
    watermarks: tuple[int, int] | None,
    huge_pages: HugePages,
) -> Verb[pool_pb2.Pool]:
    """Have a pool made."""
    if huge_pages not in get_args(HugePages):
        raise BadPool(f"huge_pages is 'never', 'try' or 'require', not {huge_pages!r}")
    pages = pool_pb2.HugePages.Value(f"HUGE_PAGES_{huge_pages.upper()}")
    request = request_of(
        pool_pb2.CreatePoolRequest, name=name, buffers=buffers, order=order, huge_pages=pages
    )
    if watermarks is not None:
        request.watermarks.CopyFrom(_watermarks(watermarks))
    response = pool_pb2.CreatePoolResponse
    return Verb(f"{_POOL}CreatePool", request, response, lambda answer: answer.pool)


def close_pool(name: str) -> Verb[pool_pb2.Pool]:
    """Have a pool closed."""
    request, response = request_of(pool_pb2.ClosePoolRequest, name=name), pool_pb2.ClosePoolResponse
    return Verb(f"{_POOL}ClosePool", request, response, lambda answer: answer.pool)


def pool_statistics(name: str) -> Verb[pool_pb2.PoolStatistics]:
    """Ask for the counters of one pool."""
    request = request_of(pool_pb2.GetPoolStatisticsRequest, name=name)
    response = pool_pb2.GetPoolStatisticsResponse
    return Verb(f"{_POOL}GetPoolStatistics", request, response, lambda answer: answer.statistics)


def holders() -> Verb[list[server_pb2.Holder]]:
    """Ask who holds references."""
    request, response = holder_pb2.ListHoldersRequest(), holder_pb2.ListHoldersResponse
    return Verb(f"{_HOLDER}ListHolders", request, response, lambda answer: list(answer.holders))


def revoke_session(name: str, session: int, reason: str) -> Verb[holder_pb2.RevokeSessionResponse]:
    """Have somebody's lease session ended."""
    request = request_of(holder_pb2.RevokeSessionRequest, name=name, session=session, reason=reason)
    return Verb(f"{_HOLDER}RevokeSession", request, holder_pb2.RevokeSessionResponse, whole)


def _watermarks(given: tuple[int, int]) -> pool_pb2.Watermarks:
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(
            "watermarks are two numbers of free buffers, (low, high), such as (4, 8), or None; "
            f"not {given!r}"
        )
    return request_of(pool_pb2.Watermarks, low=given[0], high=given[1])
