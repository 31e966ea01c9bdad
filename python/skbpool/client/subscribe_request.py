"""What a subscriber asks of the daemon, as its message."""

from typing import Literal, get_args

from skbpool.client.request import duration_of, request_of
from skbpool.v1 import frame_pb2

SubscribePolicy = Literal["drop_newest", "drop_oldest", "copy_out", "block"]
"""What happens to frames beyond a subscriber's quota."""


def subscribe_request(
    name: str,
    *,
    policy: SubscribePolicy,
    quota: int,
    quota_bytes: int,
    copy_bytes: int,
    block_at_most: float,
    max_batch_frames: int,
    max_batch_bytes: int,
    linger: float,
    snapshot_length: int,
) -> frame_pb2.SubscribeRequest:
    """Return the request of `Client.subscribe`, which tells what each of these is.

    Raises:
        ValueError: There is no such policy, or a time that is none.
        OutOfRange: A number has no place in its field.
    """
    if policy not in get_args(SubscribePolicy):
        names = ", ".join(map(repr, get_args(SubscribePolicy)))
        raise ValueError(f"a policy is one of {names}, not {policy!r}")
    request = request_of(
        frame_pb2.SubscribeRequest,
        name=name,
        policy=frame_pb2.SubscribePolicy.Value(f"SUBSCRIBE_POLICY_{policy.upper()}"),
        quota=quota,
        quota_bytes=quota_bytes,
        copy_bytes=copy_bytes,
        max_batch_frames=max_batch_frames,
        max_batch_bytes=max_batch_bytes,
        snapshot_length=snapshot_length,
    )
    if linger:
        request.linger.CopyFrom(duration_of("linger", linger))
    if block_at_most:
        request.block_at_most.CopyFrom(duration_of("block_at_most", block_at_most))
    return request
