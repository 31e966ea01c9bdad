"""The client of the daemon: `skbpool.Client` and what it returns and raises.

Needs grpcio and protobuf, which `pip install 'skbpool[client]'` brings.
"""

try:
    import google.protobuf
    import grpc
except ImportError as error:
    raise ImportError(
        f"skbpool.Client needs {error.name}, which the bare library does without: "
        "pip install 'skbpool[client]'",
        name=error.name,
    ) from None
else:
    del google.protobuf, grpc

from skbpool.client.client import Client
from skbpool.client.details import RefusalDetails
from skbpool.client.drops import Drops
from skbpool.client.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RequestOutOfRange,
    ResourceExhausted,
    ServerUnavailable,
    ServiceError,
    Unimplemented,
)
from skbpool.client.frame import Frame
from skbpool.client.ingest import Acknowledgement
from skbpool.client.outbox.result import IngestResult
from skbpool.client.sender import Sender
from skbpool.client.session import Session
from skbpool.client.stamps import StampReader
from skbpool.client.subscribe_request import SubscribePolicy
from skbpool.client.subscription import Subscription
from skbpool.client.tls import Tls, TlsError
from skbpool.client.verbs.driver import Line
from skbpool.client.watch import PoolWatch

__all__ = [
    "Aborted",
    "Acknowledgement",
    "AlreadyExists",
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "Drops",
    "FailedPrecondition",
    "Frame",
    "IngestResult",
    "InvalidRequest",
    "Line",
    "NotFound",
    "PermissionDenied",
    "PoolWatch",
    "RefusalDetails",
    "RequestOutOfRange",
    "ResourceExhausted",
    "Sender",
    "ServerUnavailable",
    "ServiceError",
    "Session",
    "StampReader",
    "SubscribePolicy",
    "Subscription",
    "Tls",
    "TlsError",
    "Unimplemented",
]
