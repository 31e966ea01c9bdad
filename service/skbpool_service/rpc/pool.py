"""skbpool.v1.PoolService: making and closing pools, and telling their state."""

import re

import grpc
from skbpool._native import MAX_BUFFERS, MAX_ORDER
from skbpool.v1 import pool_pb2

from skbpool_service.pools import HugePages, Pools, Wanted
from skbpool_service.refusal import Refusal, bad_request, out_of_range
from skbpool_service.rpc.convert import pool_message, pool_statistics
from skbpool_service.rpc.table import MethodTable
from skbpool_service.watch.observer import Observer

SERVICE = pool_pb2.DESCRIPTOR.services_by_name["PoolService"].full_name


_HUGE_PAGES: dict[int, HugePages] = {
    pool_pb2.HUGE_PAGES_UNSPECIFIED: "never",
    pool_pb2.HUGE_PAGES_NEVER: "never",
    pool_pb2.HUGE_PAGES_TRY: "try",
    pool_pb2.HUGE_PAGES_REQUIRE: "require",
}


class PoolService:
    """The service over the pools of one daemon."""

    def __init__(self, pools: Pools, observer: Observer):
        self._pools = pools
        self._observer = observer

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(SERVICE, "CreatePool", pool_pb2.CreatePoolRequest, self.create_pool)
        table.add_unary(SERVICE, "ClosePool", pool_pb2.ClosePoolRequest, self.close_pool)
        table.add_unary(SERVICE, "ListPools", pool_pb2.ListPoolsRequest, self.list_pools)
        table.add_unary(
            SERVICE, "GetPoolStatistics", pool_pb2.GetPoolStatisticsRequest, self.get_statistics
        )

    def create_pool(self, request: pool_pb2.CreatePoolRequest) -> pool_pb2.CreatePoolResponse:
        """Answer CreatePool."""
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,63}", request.name):
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "BAD_NAME",
                "a pool's name is 1 to 63 letters, digits, dots, dashes and underscores, "
                f"not {request.name[:80]!r}",
            )
        if not 1 <= request.buffers <= MAX_BUFFERS:
            raise out_of_range(f"a pool has 1 to {MAX_BUFFERS} buffers, not {request.buffers}")
        if request.order > MAX_ORDER:
            raise out_of_range(f"the order of a pool is 0 to {MAX_ORDER}, not {request.order}")
        huge_pages = _HUGE_PAGES.get(request.huge_pages)
        if huge_pages is None:
            raise bad_request(f"huge_pages has no value {request.huge_pages}")
        marks = request.watermarks if request.HasField("watermarks") else None
        if marks and not marks.low <= marks.high <= request.buffers:
            raise out_of_range(
                "the low watermark is at most the high one, and that at most the pool's "
                f"{request.buffers} buffers, not {marks.low} and {marks.high}"
            )
        watermarks = (marks.low, marks.high) if marks else None
        pool = self._pools.make(
            Wanted(request.name, request.buffers, request.order, watermarks, huge_pages)
        )
        return pool_pb2.CreatePoolResponse(pool=pool_message(pool))

    def close_pool(self, request: pool_pb2.ClosePoolRequest) -> pool_pb2.ClosePoolResponse:
        """Answer ClosePool."""
        pool, closed_at = self._pools.close(request.name)
        self._observer.wake()
        return pool_pb2.ClosePoolResponse(pool=pool_message(pool, closed_at))

    def list_pools(self, _request: pool_pb2.ListPoolsRequest) -> pool_pb2.ListPoolsResponse:
        """Answer ListPools."""
        return pool_pb2.ListPoolsResponse(
            pools=[pool_message(pool, self._pools.closed_at(pool)) for pool in self._pools.all()]
        )

    def get_statistics(
        self, request: pool_pb2.GetPoolStatisticsRequest
    ) -> pool_pb2.GetPoolStatisticsResponse:
        """Answer GetPoolStatistics."""
        pool = self._pools.get(request.name)
        return pool_pb2.GetPoolStatisticsResponse(
            statistics=pool_statistics(pool, self._pools.closed_at(pool))
        )
