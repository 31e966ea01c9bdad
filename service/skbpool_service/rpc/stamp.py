"""skbpool.v1.StampService: consumers in the daemon that read the stamps of an emulated card."""

import secrets
import threading
from collections.abc import Iterator

import grpc
import structlog
from skbpool._native import StampConsumer
from skbpool.v1 import stamp_pb2

from skbpool_service.engine import Engine
from skbpool_service.ledger import CONSUMER, STAMPS
from skbpool_service.refusal import Refusal, bad_request, not_found, out_of_range
from skbpool_service.rpc.call import Gate, Stream, first, parse
from skbpool_service.rpc.convert import drops
from skbpool_service.rpc.farewell import Farewell
from skbpool_service.rpc.table import MethodTable

log = structlog.get_logger()

SERVICE = stamp_pb2.DESCRIPTOR.services_by_name["StampService"].full_name


class StampService:
    """The service over one engine."""

    def __init__(self, engine: Engine, gate: Gate, inline: Gate):
        self._engine = engine
        self._gate = gate
        self._inline = inline
        self._lock = threading.Lock()
        self._readers: dict[str, StampConsumer] = {}
        self._farewell = Farewell()

    def register(self, table: MethodTable) -> None:
        """Add the methods to the table."""
        table.add_streaming(SERVICE, "AttachStampReader", self._gate, self.attach)
        table.add_unary(SERVICE, "GetStampReport", stamp_pb2.GetStampReportRequest, self.get_report)

    def attach(self, stream: Stream, requests: Iterator[bytes]) -> None:
        """Serve AttachStampReader: returns, and the reader stays until the stream ends."""
        self._farewell.add(stream)
        most = self._engine.settings.limits.max_message_bytes
        request = parse(stamp_pb2.AttachStampReaderRequest, first(requests, most))
        quota = self._engine.quota(request.quota)
        block = request.block_ms / 1000
        most_block = self._engine.settings.limits.max_block_seconds
        if block > most_block:
            raise out_of_range(
                f"block_ms = {request.block_ms} is longer than deliveries may wait here "
                f"(limits.max_block_seconds = {most_block:g})"
            )
        if request.inline and block:
            raise bad_request("an inline reader makes nobody wait; leave out inline or block_ms")
        if request.inline:
            self._inline.enter()
            stream.on_end(self._inline.leave)
        name = self._engine.name("", STAMPS)
        try:
            reader = StampConsumer(
                self._engine.hub,
                name,
                stream=request.stream,
                quota=quota,
                block=block,
                inline=request.inline,
            )
        except OSError as error:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            raise Refusal(code, "OUT_OF_THREADS", str(error)) from None
        self._engine.quotas.watch(name, reader.quota_events())
        reader_id = secrets.token_urlsafe(18)

        def close() -> None:
            with self._lock:
                self._readers.pop(reader_id, None)
            # It reads what is queued before anybody else has to wait for it.
            reader.stop()
            self._engine.detach(reader, CONSUMER, name)
            log.info("stamp reader ends", consumer=name)

        stream.on_end(close)
        with self._lock:
            self._readers[reader_id] = reader
        log.info("stamp reader begins", consumer=name, stream=request.stream, quota=quota)
        stream.send(stamp_pb2.AttachStampReaderResponse(reader_id=reader_id).SerializeToString())

    def get_report(
        self, request: stamp_pb2.GetStampReportRequest
    ) -> stamp_pb2.GetStampReportResponse:
        """Answer GetStampReport."""
        with self._lock:
            found = self._readers.get(request.reader_id)
        if found is None:
            text = "there is no such stamp reader, or its stream has ended; attach another one"
            raise not_found("READER", text)
        report = found.report()
        latency = report["latency_seconds"] or dict.fromkeys(("p50", "p99", "p999", "max"), 0.0)
        return stamp_pb2.GetStampReportResponse(
            received=report["received"],
            lost=report["lost"],
            duplicated=report["duplicated"],
            reordered=report["reordered"],
            foreign=report["foreign"],
            dropped=drops(report["dropped"]),
            latency_p50_seconds=latency["p50"],
            latency_p99_seconds=latency["p99"],
            latency_p999_seconds=latency["p999"],
            latency_max_seconds=latency["max"],
            latency_count=report["latency_count"],
        )

    def stop(self) -> None:
        """Tell every stream that the daemon stops."""
        self._farewell.stop()
