"""Settings of the C library's allocator: memory of messages is used again, not given back at once.

gRPC brings a message in pieces and joins them, so each is allocated several times. By default the
C library gives freed memory back to the kernel as soon as about two messages are free, and every
page of the next message is a fault. Keeping some saves a daemon at full rate a quarter to a third
of its processor time (messages of 1 MiB, frames of 64 and 1518 bytes, medians of seven samples).
"""

import ctypes
import os

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3

KEPT_BYTES = 64 << 20
"""Free memory that may stay at the end of each of the allocator's arenas."""

MOST_MMAP_THRESHOLD = 32 << 20
"""The largest that the GNU C library takes."""


def keep_memory(max_message_bytes: int) -> bool:
    """Have memory of messages reused; return whether this C library was told so.

    What MALLOC_… variables or GLIBC_TUNABLES of the environment say goes before.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    threshold = min(2 * max_message_bytes, MOST_MMAP_THRESHOLD)
    return bool(mallopt(M_MMAP_THRESHOLD, threshold) and mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
