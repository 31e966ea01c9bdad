"""skbpool.v1.PoolService: making pools and telling their state."""

import re

import grpc
from skbpool.v1 import pool_pb2

from skbpool_service.config.model import MAX_BUFFERS, MAX_ORDER
from skbpool_service.engine import Pools
from skbpool_service.refusal import Refusal, out_of_range
from skbpool_service.rpc.convert import pool_message, pool_statistics
from skbpool_service.rpc.table import MethodTable

SERVICE = pool_pb2.DESCRIPTOR.services_by_name["PoolService"].full_name


class PoolService:
    """The service over the pools of one daemon."""

    def __init__(self, pools: Pools):
        self._pools = pools

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(SERVICE, "CreatePool", pool_pb2.CreatePoolRequest, self.create_pool)
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
        pool = self._pools.make(request.name, request.buffers, request.order)
        return pool_pb2.CreatePoolResponse(pool=pool_message(pool))

    def list_pools(self, _request: pool_pb2.ListPoolsRequest) -> pool_pb2.ListPoolsResponse:
        """Answer ListPools."""
        return pool_pb2.ListPoolsResponse(pools=[pool_message(pool) for pool in self._pools.all()])

    def get_statistics(
        self, request: pool_pb2.GetPoolStatisticsRequest
    ) -> pool_pb2.GetPoolStatisticsResponse:
        """Answer GetPoolStatistics."""
        pool = self._pools.get(request.name)
        return pool_pb2.GetPoolStatisticsResponse(statistics=pool_statistics(pool))
