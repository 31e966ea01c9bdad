"""skbpool.v1.ServerService: what the daemon is, allows, and counted."""

from skbpool._native import server_boot_id
from skbpool.v1 import server_pb2

from skbpool_service import __version__
from skbpool_service.drops import all_drops
from skbpool_service.engine import Engine
from skbpool_service.holders import holders
from skbpool_service.rpc.convert import (
    copies,
    drops,
    duration,
    holder_message,
    pool_statistics,
)
from skbpool_service.rpc.subscribe_options import max_quota_bytes
from skbpool_service.rpc.table import MethodTable
from skbpool_service.sessions import Sessions

SERVICE = server_pb2.DESCRIPTOR.services_by_name["ServerService"].full_name
API_VERSION = "v1"
FEATURES = ("drivers", "ingest-resumption", "leases", "reflection", "stamp-reader")


class ServerService:
    """The service over one engine."""

    def __init__(self, engine: Engine, sessions: Sessions):
        self._engine = engine
        self._sessions = sessions

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_unary(
            SERVICE, "GetServerInfo", server_pb2.GetServerInfoRequest, self.get_server_info
        )
        table.add_unary(
            SERVICE, "GetStatistics", server_pb2.GetStatisticsRequest, self.get_statistics
        )

    def get_server_info(
        self, _request: server_pb2.GetServerInfoRequest
    ) -> server_pb2.GetServerInfoResponse:
        """Answer GetServerInfo."""
        settings = self._engine.settings
        limits = settings.limits
        return server_pb2.GetServerInfoResponse(
            version=__version__,
            api_version=API_VERSION,
            boot_id=server_boot_id(),
            features=FEATURES,
            limits=server_pb2.Limits(
                max_message_bytes=limits.max_message_bytes,
                max_frame_bytes=limits.max_frame_bytes,
                max_streams=limits.max_streams,
                max_ingest_streams=limits.max_ingest_streams,
                max_sessions=limits.max_sessions,
                max_handles_per_session=limits.max_handles_per_session,
                max_pools=limits.max_pools,
                max_quota=settings.max_quota,
                default_quota=settings.default_quota,
                max_quota_bytes=max_quota_bytes(self._engine),
                max_copy_bytes=limits.max_copy_bytes,
                max_linger=duration(limits.max_linger_seconds),
                max_block=duration(limits.max_block_seconds),
            ),
        )

    def get_statistics(
        self, _request: server_pb2.GetStatisticsRequest
    ) -> server_pb2.GetStatisticsResponse:
        """Answer GetStatistics."""
        hub = self._engine.hub.stats()
        return server_pb2.GetStatisticsResponse(
            pools=[
                pool_statistics(pool, self._engine.pools.closed_at(pool))
                for pool in self._engine.pools.all()
            ],
            holders=map(holder_message, holders(self._sessions)),
            drivers=[
                server_pb2.DriverStatistics(
                    name=driver["name"],
                    frames=driver["frames"],
                    bytes=driver["bytes"],
                    unclaimed=driver["unclaimed"],
                    drops=drops(driver["dropped"]),
                )
                for driver in hub["drivers"]
            ],
            consumers=[
                server_pb2.ConsumerStatistics(
                    name=consumer["name"],
                    frames=consumer["frames"],
                    bytes=consumer["bytes"],
                    held=consumer["held"],
                    quota=consumer["quota"],
                    drops=drops(consumer["dropped"]),
                )
                for consumer in hub["consumers"]
            ],
            drops=drops(all_drops(hub)),
            copies=copies(),
        )
