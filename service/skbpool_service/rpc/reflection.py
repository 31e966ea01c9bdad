"""grpc.reflection.v1alpha: lets tools list the services and their messages."""

from collections.abc import Iterator

from grpc_reflection.v1alpha import reflection, reflection_pb2

from skbpool_service.rpc.call import Gate, Stream, check_size, parse
from skbpool_service.rpc.table import MethodTable

MAX_REQUEST_BYTES = 4096


class ReflectionService:
    """grpcio's servicer, on the stream pool: a tool may keep its stream open."""

    def __init__(self, services: list[str], gate: Gate):
        self._servicer = reflection.ReflectionServicer([*services, reflection.SERVICE_NAME])
        self._gate = gate

    def register(self, table: MethodTable) -> None:
        """Add the method to the table."""
        table.add_streaming(reflection.SERVICE_NAME, "ServerReflectionInfo", self._gate, self.serve)

    def serve(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve ServerReflectionInfo: holds its thread."""
        parsed = (
            parse(reflection_pb2.ServerReflectionRequest, check_size(request, MAX_REQUEST_BYTES))
            for request in requests
        )
        for response in self._servicer.ServerReflectionInfo(parsed, stream.context):
            if not stream.send(response.SerializeToString()):
                return
        stream.end()
