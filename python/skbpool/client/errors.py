"""What a call to the daemon can end with: one exception for each gRPC status that it uses."""

import re
from collections.abc import Iterable
from typing import cast

import grpc

from skbpool import SkbpoolError
from skbpool.client.details import RefusalDetails, refusal_details
from skbpool.client.unreachable import unreachable


class ServiceError(SkbpoolError):
    """A call to the daemon failed; the text says what happened and what to do."""

    def __init__(
        self, message: str, code: grpc.StatusCode, details: RefusalDetails | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        """The gRPC status."""
        self.details = details or RefusalDetails()
        """What the daemon says about it for programs."""


class FailedPrecondition(ServiceError):
    """It cannot be done as things stand: a driver is to be revoked, a name is not unique."""


class Aborted(ServiceError):
    """What the daemon ended on somebody's behalf: a session that an administrator revoked."""


class ServerUnavailable(ServiceError):
    """No daemon answers at the address, or the connection to it was lost."""


class DeadlineExceeded(ServiceError):
    """The daemon did not answer within the client's timeout."""


class InvalidRequest(ServiceError):
    """The request makes no sense to the daemon: a batch that cannot be read, a bad name."""


class RequestOutOfRange(ServiceError):
    """A number in the request lies outside what the daemon allows."""


class NotFound(ServiceError):
    """There is no such pool, session, handle or reader."""


class AlreadyExists(ServiceError):
    """The name is taken."""


class PermissionDenied(ServiceError):
    """The client may not do that."""


class ResourceExhausted(ServiceError):
    """A limit is reached or a pool is empty; trying again later may succeed.

    `details.retry_after` tells when; `details.exhaustion` who has the buffers of an empty pool.
    """


class Cancelled(ServiceError):
    """The call was ended, by this client or by the daemon."""


class Unimplemented(ServiceError):
    """The server does not have this call: it is another program, or an older daemon."""


STATUS_DETAILS = "grpc-status-details-bin"
"""Trailing metadata with a google.rpc.Status, which nobody but the daemon sends."""

_CLASSES: dict[grpc.StatusCode, type[ServiceError]] = {
    grpc.StatusCode.UNAVAILABLE: ServerUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: RequestOutOfRange,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
}


POOL_TOO_SMALL = b"POOL_TOO_SMALL"
"""Reason, among those details, for refusing a stream that the pool has no room for."""

LARGER = "; 'skbpool serve --buffers' makes the daemon's pool larger"


def service_error(
    error: grpc.RpcError, address: str, *, answered: bool = False, kept: str = ""
) -> ServiceError:
    """Return the typed exception for what gRPC raised when `address` was called.

    If a daemon has `answered` there before, a connection that fails is lost; what of the work is
    `kept` is told then.
    """
    code = error.code()
    details = error.details() or f"the call ended with {code.name}"
    # The daemon adds details of its own to whatever it refuses; without them gRPC itself speaks.
    # Pairs in both kinds of channels, and of names in one of them only.
    trailers = cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ())
    refused = [bytes(value) for key, value in trailers if key == STATUS_DETAILS]
    if refused:
        too_small = any(POOL_TOO_SMALL in value for value in refused)
        message = details + (LARGER if too_small else "")
    elif code is grpc.StatusCode.UNAVAILABLE and answered:
        message = (
            f"the daemon at {address} is gone: the connection was lost ({_cause(details)})"
            f"{kept and f'; {kept}'}; see its log for why"
        )
    elif code is grpc.StatusCode.UNAVAILABLE:
        message = unreachable(address, _cause(details))
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
        message = f"the daemon at {address} did not answer in time: is it overloaded or stopped?"
    elif code is grpc.StatusCode.UNIMPLEMENTED:
        message = (
            f"the server at {address} does not know this call ({details}): it is no skbpool "
            "daemon, or an older one"
        )
    else:
        message = details
    told = refusal_details(refused[0]) if refused else None
    return _CLASSES.get(code, ServiceError)(message, code, told)


def unexpected_end(address: str) -> ServiceError:
    """Return the error for a stream that the daemon ended in order, and should not have."""
    text = f"the daemon at {address} ended the stream before everything was acknowledged"
    return ServerUnavailable(text, grpc.StatusCode.UNAVAILABLE)


def _cause(details: str) -> str:
    """Shorten what gRPC says about a failed connection to what the system said."""
    # "failed to connect to all addresses; last error: UNKNOWN: unix:/x: connect: No such file (2)"
    last = details.rpartition("last error: ")[2]
    # "Tls handshake failed (…): …:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: why: OK"
    if found := re.search(r"OPENSSL_internal:(.+?)(?:: OK)?$", last):
        return found[1]
    # "Stream removed (recvmsg:Connection reset by peer (104))"
    if found := re.search(r":\s*([^:()]+) \(\d+\)", last):
        return found[1]
    return last.rpartition(": ")[2].rstrip("]") or details
