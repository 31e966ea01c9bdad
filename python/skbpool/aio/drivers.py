"""Drivers inside the daemon, for asyncio."""

from skbpool.aio.connection import Connection
from skbpool.client.verbs import driver
from skbpool.client.verbs.driver import AS_FAST_AS_MAY_BE, Line
from skbpool.v1 import driver_pb2


class DriverCalls:
    """What a client can do with the drivers inside the daemon."""

    _connection: Connection

    async def drivers(self) -> list[driver_pb2.Driver]:
        """Return the drivers that were attached by clients, as `skbpool.Client.drivers`."""
        return await self._connection.do(driver.drivers())

    async def attach_nic(
        self,
        name: str,
        line: Line = AS_FAST_AS_MAY_BE,
        *,
        frame_size: int = 64,
        stream: int = 0,
        pool: str = "",
    ) -> driver_pb2.Driver:
        """Attach an emulated card to the daemon, as `skbpool.Client.attach_nic`."""
        return await self._connection.do(driver.attach_nic(name, line, frame_size, stream, pool))

    async def attach_replay(
        self,
        name: str,
        capture: str,
        line: Line = AS_FAST_AS_MAY_BE,
        *,
        loops: int = 1,
        original_timing: bool = False,
        pool: str = "",
    ) -> driver_pb2.Driver:
        """Attach a replay of a capture on the daemon's host, as `skbpool.Client.attach_replay`."""
        return await self._connection.do(
            driver.attach_replay(name, capture, line, loops, original_timing, pool)
        )

    async def detach_driver(self, name: str) -> driver_pb2.Driver:
        """Detach a driver, as `skbpool.Client.detach_driver`."""
        return await self._connection.do(driver.detach_driver(name))
