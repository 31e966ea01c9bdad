"""How a call is refused: one status code, one sentence, and a reason for programs.

What a client should do about each is in ERRORS.md beside this package.

| what happened | code | reason |
| --- | --- | --- |
| a message that is no message, or misses something | INVALID_ARGUMENT | BAD_REQUEST |
| a batch whose lengths exceed its data, and the like | INVALID_ARGUMENT | MALFORMED_BATCH |
| a name with spaces, too long, … | INVALID_ARGUMENT | BAD_NAME |
| a frame over max_frame_bytes | OUT_OF_RANGE | FRAME_TOO_LARGE |
| a quota, size, order, range over what there is | OUT_OF_RANGE | OUT_OF_RANGE |
| a handle, session, reader, pool, driver or capture that is not there | NOT_FOUND | UNKNOWN_… |
| a pool name that is taken | ALREADY_EXISTS | POOL_EXISTS |
| a driver name that is taken | ALREADY_EXISTS | DRIVER_EXISTS |
| a capture that cannot be replayed | FAILED_PRECONDITION | BAD_CAPTURE |
| no folder for captures | FAILED_PRECONDITION | NO_CAPTURE_DIRECTORY |
| buffers of a pool that was closed | FAILED_PRECONDITION | POOL_CLOSED |
| the daemon's first pool is to be closed | FAILED_PRECONDITION | NOT_CLOSABLE |
| a policy that the configuration allows no subscriber | FAILED_PRECONDITION | …_NOT_ALLOWED |
| a limit of the configuration | RESOURCE_EXHAUSTED | LIMIT_… |
| no buffer that is free and unpromised | RESOURCE_EXHAUSTED | POOL_EXHAUSTED, with PoolExhaustion |
| a session that an administrator ended | ABORTED | SESSION_REVOKED |
| an Ingest stream that a newer one of its client resumed | ABORTED | STREAM_TAKEN_OVER |
| an Ingest stream that is resumed while it handles a batch | UNAVAILABLE | STREAM_BUSY |
| a driver or consumer that is to be revoked | FAILED_PRECONDITION | NOT_REVOCABLE |
| a name that several sessions have | FAILED_PRECONDITION | AMBIGUOUS_NAME |
| a consumer or driver that the pool has no room for | RESOURCE_EXHAUSTED | POOL_TOO_SMALL |
| more holders than can be accounted by name | RESOURCE_EXHAUSTED | TOO_MANY_HOLDERS |
| no memory for another pool | RESOURCE_EXHAUSTED | OUT_OF_MEMORY |
| no thread for another stamp reader or driver | RESOURCE_EXHAUSTED | OUT_OF_THREADS |
| a stream that ended while it was asked about | NOT_FOUND | GONE |
| a role that the listener or certificate does not grant | PERMISSION_DENIED | ROLE_MISSING |
| a certificate that names nobody | UNAUTHENTICATED | NO_CERTIFICATE_NAME |
| an unknown method | UNIMPLEMENTED | UNKNOWN_METHOD |
| the daemon is stopping | UNAVAILABLE | STOPPING |
| a fault of the daemon, logged | INTERNAL | BUG |
"""

import re

import grpc
import skbpool
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

DOMAIN = "skbpool.dev"
"""Whose reasons these are, in google.rpc.ErrorInfo."""

RETRY_SECONDS = 0.1
"""When to try again if only the moment was bad."""

MAX_TEXT = 1000
"""Characters of a refusal: it travels in a header, whose size clients limit."""

_Code = grpc.StatusCode


class Refusal(Exception):
    """A call is refused; nothing has changed."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        text: str,
        *,
        retry_after: float | None = None,
        detail: Message | None = None,
        **metadata: object,
    ):
        super().__init__(text)
        self.code = code
        self.reason = reason
        self.text = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
        self.retry_after = retry_after
        self.detail = detail
        self.metadata = {key: str(value) for key, value in metadata.items()}

    def status(self) -> grpc.Status:
        """Return the status with its details, as grpcio takes it."""
        status = status_pb2.Status(code=self.code.value[0], message=self.text)
        status.details.add().Pack(
            error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=self.metadata)
        )
        if limit := self.metadata.get("limit"):
            violation = error_details_pb2.QuotaFailure.Violation(
                subject=f"limits.{limit}", description=self.text
            )
            status.details.add().Pack(error_details_pb2.QuotaFailure(violations=[violation]))
        if self.retry_after is not None:
            delay = Duration()
            delay.FromNanoseconds(int(self.retry_after * 1e9))
            status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
        if self.detail is not None:
            status.details.add().Pack(self.detail)
        return rpc_status.to_status(status)


def over_limit(limit: str, text: str, value: int, *, retry: bool = True) -> Refusal:
    """Return the refusal of what the configured limit `limit` does not allow."""
    return Refusal(
        _Code.RESOURCE_EXHAUSTED,
        f"LIMIT_{limit.upper()}",
        f"{text} (limits.{limit} = {value})",
        retry_after=RETRY_SECONDS if retry else None,
        limit=limit,
        value=value,
    )


def bad_request(text: str, *, field: str = "") -> Refusal:
    """Return the refusal of a request that contradicts the interface; `field` as `violation`."""
    detail = violation(field, text)
    return Refusal(_Code.INVALID_ARGUMENT, "BAD_REQUEST", text, detail=detail)


def out_of_range(text: str, *, field: str = "") -> Refusal:
    """Return the refusal of a number beyond what there is; `field` as `violation`."""
    return Refusal(_Code.OUT_OF_RANGE, "OUT_OF_RANGE", text, detail=violation(field, text))


def violation(field: str, text: str) -> Message | None:
    """Return the detail that names the field of the request that is wrong; None without one."""
    if not field:
        return None
    wrong = error_details_pb2.BadRequest.FieldViolation(field=field, description=text[:MAX_TEXT])
    detail: Message = error_details_pb2.BadRequest(field_violations=[wrong])
    return detail


def not_found(kind: str, text: str) -> Refusal:
    """Return the refusal of a `kind` that is not there."""
    return Refusal(_Code.NOT_FOUND, f"UNKNOWN_{kind}", text)


def stopping(text: str = "the daemon is stopping; connect again later") -> Refusal:
    """Return what a stream is told when the daemon stops."""
    return Refusal(_Code.UNAVAILABLE, "STOPPING", text)


def check_name(name: str, what: str) -> str:
    """Return `name` if it can stand in tables, logs and metrics.

    Raises:
        Refusal: It is not 1 to 63 printable ASCII characters without spaces.
    """
    if not re.fullmatch(r"[!-~]{1,63}", name):
        raise Refusal(
            _Code.INVALID_ARGUMENT,
            "BAD_NAME",
            f"a {what}'s name is 1 to 63 printable ASCII characters without spaces, "
            f"not {name[:80]!r}",
        )
    return name


_KNOWN: list[tuple[type[Exception], grpc.StatusCode, str, float | None]] = [
    (skbpool.MalformedBatch, _Code.INVALID_ARGUMENT, "MALFORMED_BATCH", None),
    (skbpool.FrameTooLarge, _Code.OUT_OF_RANGE, "FRAME_TOO_LARGE", None),
    (skbpool.OutOfRange, _Code.OUT_OF_RANGE, "OUT_OF_RANGE", None),
    (skbpool.UnknownHandle, _Code.NOT_FOUND, "UNKNOWN_HANDLE", None),
    (skbpool.WrongHandle, _Code.INVALID_ARGUMENT, "BAD_REQUEST", None),
    (skbpool.BadView, _Code.INVALID_ARGUMENT, "BAD_REQUEST", None),
    (skbpool.Overlap, _Code.INVALID_ARGUMENT, "BAD_REQUEST", None),
    (skbpool.TooManyReferences, _Code.RESOURCE_EXHAUSTED, "TOO_MANY_REFERENCES", None),
    (skbpool.PoolTooSmall, _Code.RESOURCE_EXHAUSTED, "POOL_TOO_SMALL", RETRY_SECONDS),
    (skbpool.PoolExhausted, _Code.RESOURCE_EXHAUSTED, "POOL_EXHAUSTED", RETRY_SECONDS),
    (skbpool.TooManyHolders, _Code.RESOURCE_EXHAUSTED, "TOO_MANY_HOLDERS", RETRY_SECONDS),
    (skbpool.Closed, _Code.NOT_FOUND, "GONE", None),
    (skbpool.PoolClosed, _Code.UNAVAILABLE, "STOPPING", None),
]


def refusal_of(error: Exception) -> Refusal | None:
    """Return the refusal that stands for `error`; None if it is a fault of the daemon."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, skbpool.TooManyHandles):
        most = getattr(error, "limit", 0)
        return over_limit("max_handles_per_session", str(error), most, retry=False)
    for kind, code, reason, retry_after in _KNOWN:
        if isinstance(error, kind):
            return Refusal(code, reason, str(error), retry_after=retry_after)
    return None
