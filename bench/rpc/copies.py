"""How often a payload byte is copied from socket to consumer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Copy:
    """One copy of every payload byte."""

    what: str
    source: str


TRANSPORT_VERSION = "1.85.1"
"""The release of grpcio whose source was read; the same since chunks are joined."""

TRANSPORT = (
    Copy("kernel to slices", "core/lib/event_engine/posix_engine/posix_endpoint.cc: recvmsg"),
    Copy(
        "slice to bytes object", "_cython/_cygrpc/operation.pyx.pxi: ReceiveMessageOperation.un_c"
    ),
    Copy("bytes objects joined", "_cython/_cygrpc/operation.pyx.pxi: ReceiveMessageOperation.un_c"),
)
"""Both servers: what grpcio does to bring a message to a handler."""

OURS: tuple[Copy, ...] = ()
"""The daemon with consumers in the process: messages are adopted (ARCHITECTURE.md, Copies on each
path; core/engine/tests/engine/adopt.rs finds nothing counted)."""

OURS_COPIED = (*OURS, Copy("land", "core/engine/tests/engine/copies.rs"))
"""Beyond `limits.max_adopted_bytes`, or where a consumer takes frames out of the process."""


def describe_copies() -> str:
    """Return a sentence about both servers and where each copy is."""
    each = "; ".join(f"{copy.what} ({copy.source})" for copy in (*TRANSPORT, *OURS_COPIED))
    return (
        f"Copies of a payload byte from socket to consumer: bare {len(TRANSPORT)}, ours "
        f"{len(TRANSPORT)} + {len(OURS)}, {len(TRANSPORT)} + {len(OURS_COPIED)} where a message is "
        f"not adopted. The transport's are those of grpcio {TRANSPORT_VERSION}: "
        f"{each}."
    )
