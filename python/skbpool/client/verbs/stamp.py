"""Verbs of the stamp readers inside the daemon."""

from skbpool.client.request import request_of
from skbpool.client.verbs.verb import Verb, whole
from skbpool.v1 import stamp_pb2

SERVICE = "/skbpool.v1.StampService/"


def attachment(stream: int, quota: int) -> stamp_pb2.AttachStampReaderRequest:
    """Return the request that opens a reader's stream."""
    return request_of(stamp_pb2.AttachStampReaderRequest, stream=stream, quota=quota)


def report(reader_id: str) -> Verb[stamp_pb2.GetStampReportResponse]:
    """Ask what a reader saw."""
    request = stamp_pb2.GetStampReportRequest(reader_id=reader_id)
    response = stamp_pb2.GetStampReportResponse
    return Verb(f"{SERVICE}GetStampReport", request, response, whole)
