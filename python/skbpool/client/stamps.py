"""Reading stamps: a consumer in the daemon that measures what the NIC emulator sent."""

from types import TracebackType
from typing import Self

from skbpool.client.connection import Connection, ServerStream, for_stubs
from skbpool.client.verbs import stamp
from skbpool.v1 import stamp_pb2, stamp_pb2_grpc


class StampReader:
    """A stamp reader in the daemon, attached for as long as this object is open."""

    def __init__(self, connection: Connection, stream: int, quota: int) -> None:
        self._connection = connection
        stub = stamp_pb2_grpc.StampServiceStub(for_stubs(connection))
        request = stamp.attachment(stream, quota)
        self._stream = ServerStream(connection, stub.AttachStampReader(request))
        self._id = self._stream.first().reader_id

    def report(self) -> stamp_pb2.GetStampReportResponse:
        """Return what the reader saw so far.

        Raises:
            NotFound: The reader was closed.
        """
        return self._connection.do(stamp.report(self._id))

    def close(self) -> None:
        """Detach the reader."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
