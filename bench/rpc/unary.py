"""Unary calls: allocate and release."""

import time
from typing import Any

from skbpool.v1 import lease_pb2

from rpc.bulk import DEADLINE, channel

OPEN = "/skbpool.v1.LeaseService/OpenSession"


def unary(
    address: str, allocate: str, release: str, count: int, seconds: float, open_session: bool
) -> dict[str, Any]:
    """Lease `count` buffers and give them back, one pair of calls after the other."""
    with channel(address) as connection:
        session_id = "a-session-of-24-letters."
        session: Any = None
        if open_session:
            request = lease_pb2.OpenSessionRequest(name="bench").SerializeToString()
            opening: Any = connection.unary_stream(OPEN, None, None)
            session = opening(request)
            session_id = lease_pb2.OpenSessionResponse.FromString(next(session)).session_id
        asked = lease_pb2.AllocateRequest(session_id=session_id, count=count).SerializeToString()
        take: Any = connection.unary_unary(allocate, None, None)
        give: Any = connection.unary_unary(release, None, None)
        calls = buffers = 0
        begin = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            lent = lease_pb2.AllocateResponse.FromString(take(asked, timeout=DEADLINE)).buffers
            back = lease_pb2.ReleaseRequest(session_id=session_id, handles=lent)
            give(back.SerializeToString(), timeout=DEADLINE)
            calls += 2
            buffers += len(lent)
        if session is not None:
            session.cancel()
    return {"calls": calls, "buffers": buffers, "seconds": now - begin}
