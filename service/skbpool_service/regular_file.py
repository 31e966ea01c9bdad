"""Opening files that others name: whatever they are, nothing waits."""

import os
import stat

FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""A FIFO and a device are opened without waiting, and then refused."""


def is_regular(descriptor: int) -> bool:
    """Whether an open file is a regular one, of which reading waits for nobody."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)
