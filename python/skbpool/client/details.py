"""What the daemon says beside a refusal, for programs: the details of google.rpc."""

from typing import NamedTuple

from google.protobuf.message import DecodeError

from skbpool.v1 import holder_pb2


class RefusalDetails(NamedTuple):
    """What a refusal says beside its text; nothing where gRPC itself failed the call."""

    reason: str = ""
    """One word for the kind of refusal, as `POOL_EXHAUSTED`; empty: unknown."""
    retry_after: float | None = None
    """Seconds after which to try again; None: trying again does not help."""
    exhaustion: holder_pb2.PoolExhaustion | None = None
    """How a pool stands that has too few buffers, and who has them."""
    fields: tuple[str, ...] = ()
    """The fields of the request that are wrong, where the daemon names them."""


def refusal_details(status: bytes) -> RefusalDetails:
    """Return what a serialized google.rpc.Status says; what is not known here is left out."""
    # Slow to import, and only for calls that failed.
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    exhaustion, wrong = holder_pb2.PoolExhaustion(), error_details_pb2.BadRequest()
    reason, after, found = "", None, None
    fields: list[str] = []
    try:
        for detail in status_pb2.Status.FromString(status).details:
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(retry):
                after = retry.retry_delay.ToNanoseconds() / 1e9
            elif detail.Unpack(exhaustion):
                found = exhaustion
            elif detail.Unpack(wrong):
                fields += [violation.field for violation in wrong.field_violations]
    except DecodeError:  # no daemon of ours
        return RefusalDetails()
    return RefusalDetails(reason, after, found, tuple(fields))
