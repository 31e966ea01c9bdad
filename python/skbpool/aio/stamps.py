"""Reading stamps, for asyncio."""

from types import TracebackType
from typing import Self

from skbpool.aio.connection import Connection, ServerStream
from skbpool.client.verbs import stamp
from skbpool.v1 import stamp_pb2


class StampReader:
    """A stamp reader in the daemon, as `skbpool.client.StampReader`; attached by `async with`."""

    def __init__(self, connection: Connection, stream: int, quota: int) -> None:
        self._connection = connection
        self._request = stamp.attachment(stream, quota)
        self._stream: ServerStream[stamp_pb2.AttachStampReaderResponse] | None = None
        self._id = ""

    async def open(self) -> Self:
        """Attach the reader; `async with` does.

        Raises:
            ResourceExhausted: As many streams as there may be, or the pool is too small.
            ValueError: It was opened before.
        """
        if self._stream is not None:
            raise ValueError("the stamp reader is open already; make another one")
        method = self._connection.channel.unary_stream(
            f"{stamp.SERVICE}AttachStampReader",
            stamp_pb2.AttachStampReaderRequest.SerializeToString,
            stamp_pb2.AttachStampReaderResponse.FromString,
        )
        self._stream = ServerStream(self._connection, method(self._request))
        self._id = (await self._stream.first()).reader_id
        return self

    async def report(self) -> stamp_pb2.GetStampReportResponse:
        """Return what the reader saw so far.

        Raises:
            NotFound: The reader was closed.
            ValueError: It is not open yet.
        """
        if not self._id:
            raise ValueError("the stamp reader is not open: use it in an async with statement")
        return await self._connection.do(stamp.report(self._id))

    def close(self) -> None:
        """Detach the reader."""
        if self._stream is not None:
            self._stream.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
