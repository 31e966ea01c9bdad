"""What a SubscribeRequest asks for, checked against what the daemon allows."""

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from skbpool.v1 import frame_pb2

from skbpool_service.engine import Engine
from skbpool_service.refusal import Refusal, bad_request, out_of_range, violation
from skbpool_service.rpc.durations import nanoseconds, seconds_at_most

LEAST_BATCH_BYTES = 1024
"""Least that a subscriber may ask for as its largest response: room for what it missed."""

PREFERRED_BATCH_BYTES = 1 << 20
"""Largest response of a subscriber that does not say: with larger ones gRPC moves fewer bytes a
second."""

DEFAULT_COPY_SHARE = 16
"""Who copies out and does not say how much has one part in so many of what all may have."""

_Code = grpc.StatusCode
_POLICY = frame_pb2.SubscribePolicy
_PREFIX = "SUBSCRIBE_POLICY_"


@dataclass(frozen=True)
class SubscribeOptions:
    """How a subscription is to be made."""

    quota: int
    """Views."""
    policy: str
    """As the engine names it."""
    copy_bytes: int
    """Memory for its copies; 0: it makes none."""
    settings: dict[str, Any]
    """The other settings of the engine's Subscription."""


def read_options(request: frame_pb2.SubscribeRequest, engine: Engine) -> SubscribeOptions:
    """Return what `request` asks for.

    Raises:
        Refusal: A field is wrong, which it names, or asks for more than the daemon allows.
    """
    limits = engine.settings.limits
    quota = engine.quota(request.quota)
    policy = _policy(request)
    copy_bytes = _copy_bytes(request, policy, engine)
    settings: dict[str, Any] = {
        "max_message_bytes": _within(
            "max_batch_bytes",
            request.max_batch_bytes or min(PREFERRED_BATCH_BYTES, limits.max_message_bytes),
            LEAST_BATCH_BYTES,
            limits.max_message_bytes,
            "limits.max_message_bytes",
        ),
        "block_at_most": _block_at_most(request, policy, limits.max_block_seconds),
        "copy_bytes": copy_bytes or None,
        "max_message_frames": request.max_batch_frames or None,
        "linger": _linger(request.linger, limits.max_linger_seconds),
    }
    if request.quota_bytes:
        most = max_quota_bytes(engine)
        settings["quota_bytes"] = _within(
            "quota_bytes",
            request.quota_bytes,
            engine.settings.pool.buffer_bytes,
            most,
            "limits.max_quota buffers",
        )
    if request.snapshot_length:
        most = limits.max_frame_bytes
        settings["snapshot_length"] = _within(
            "snapshot_length", request.snapshot_length, 1, most, "limits.max_frame_bytes"
        )
    return SubscribeOptions(quota, policy, copy_bytes, settings)


def max_quota_bytes(engine: Engine) -> int:
    """Return the largest quota in bytes: what the largest in views comes to."""
    return engine.settings.max_quota * engine.settings.pool.buffer_bytes


def _policy(request: frame_pb2.SubscribeRequest) -> str:
    if request.policy == _POLICY.SUBSCRIBE_POLICY_UNSPECIFIED:
        return "drop_newest"
    if request.policy not in _POLICY.values():
        raise bad_request(
            f"{request.policy} is no SubscribePolicy of this daemon; those are "
            + ", ".join(f"{number} {name}" for name, number in _POLICY.items()),
            field="policy",
        )
    return _POLICY.Name(request.policy).removeprefix(_PREFIX).lower()


def _copy_bytes(request: frame_pb2.SubscribeRequest, policy: str, engine: Engine) -> int:
    if policy != "copy_out":
        if request.copy_bytes:
            text = f"copy_bytes is for the policy COPY_OUT, and this is {policy.upper()}"
            raise bad_request(text, field="copy_bytes")
        return 0
    least, most = engine.settings.pool.buffer_bytes, engine.settings.limits.max_copy_bytes
    if most < least:
        text = (
            "the daemon has no memory for subscribers' copies "
            f"(limits.max_copy_bytes = {most}); ask for another policy"
        )
        detail = violation("policy", text)
        raise Refusal(_Code.FAILED_PRECONDITION, "COPY_OUT_NOT_ALLOWED", text, detail=detail)
    asked = request.copy_bytes or max(most // DEFAULT_COPY_SHARE, least)
    return _within("copy_bytes", asked, least, most, "limits.max_copy_bytes")


def _block_at_most(request: frame_pb2.SubscribeRequest, policy: str, most: float) -> float | None:
    if policy != "block":
        if request.HasField("block_at_most"):
            text = f"block_at_most is for the policy BLOCK, and this is {policy.upper()}"
            raise bad_request(text, field="block_at_most")
        return None
    if not most:
        text = (
            "no driver of the daemon may be blocked by a subscriber "
            "(limits.max_block_seconds = 0); ask for another policy"
        )
        detail = violation("policy", text)
        raise Refusal(_Code.FAILED_PRECONDITION, "BLOCK_NOT_ALLOWED", text, detail=detail)
    if not nanoseconds("block_at_most", request.block_at_most):
        text = "the policy BLOCK needs block_at_most, the longest wait in one delivery"
        raise bad_request(text, field="block_at_most")
    return seconds_at_most("block_at_most", request.block_at_most, most, "limits.max_block_seconds")


def _linger(duration: Duration, most: float) -> float:
    return seconds_at_most("linger", duration, most, "limits.max_linger_seconds")


def _within(field: str, value: int, low: int, high: int, limit: str) -> int:
    if not low <= value <= high:
        text = f"{field} is {low} to {high} bytes ({limit}), not {value}"
        raise out_of_range(text, field=field)
    return value
