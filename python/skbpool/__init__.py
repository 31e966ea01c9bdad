"""skbpool: a packet buffer pool, as a library and as a service.

A frame is written once into a `Buffer` of a `Pool`; views of it (`Skb`) are cut without copying
and handed on, one by one or as an `SkbBatch`; when the last view is gone, the buffer goes home.
Memory of one's own becomes a buffer with `init_zero_copy_buffer` and `adopt`. A `Hub` hands batches
from drivers to consumers, each within its quota.

Everything that can go wrong is an `SkbpoolError`; figures are the dataclasses of `skbpool.stats`.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from skbpool._flow import FiveTuple, FiveTuples
from skbpool._native import (
    Armed,
    Buffer,
    Consumer,
    DriverPort,
    Fill,
    Holder,
    Hub,
    Pool,
    PoolEvents,
    QuotaEvents,
    __version__,
    adopt,
    brought,
    copies,
    holders,
    init_zero_copy_buffer,
)
from skbpool._skb import Skb
from skbpool._skb_batch import SkbBatch
from skbpool.errors import (
    AuditFailed,
    BadMemory,
    BadPool,
    BadView,
    BufferReleased,
    BufferTooSmall,
    CaptureError,
    Closed,
    Exported,
    ForkedPool,
    FrameTooLarge,
    MalformedBatch,
    NoHeadroom,
    Nonlinear,
    NoPool,
    NoTailroom,
    NotArmed,
    NotEmpty,
    NoViews,
    OutOfRange,
    Overlap,
    PoolClosed,
    PoolExhausted,
    PoolMemory,
    PoolTooSmall,
    ReadOnly,
    Shared,
    SkbpoolError,
    TooManyHandles,
    TooManyHolders,
    TooManyReferences,
    TooShort,
    UnknownHandle,
    WrongHandle,
)
from skbpool.stats import (
    Audit,
    BroughtStats,
    Delivered,
    HolderStats,
    LeakExample,
    LeakReport,
    LeakSite,
    Outstanding,
    PoolStats,
    Transition,
    WatermarkStats,
)

if TYPE_CHECKING:
    from skbpool import aio as aio
    from skbpool.client import Client as Client
    from skbpool.client import Tls as Tls

__all__ = [
    "Armed",
    "Audit",
    "AuditFailed",
    "BadMemory",
    "BadPool",
    "BadView",
    "BroughtStats",
    "Buffer",
    "BufferReleased",
    "BufferTooSmall",
    "CaptureError",
    "Closed",
    "Consumer",
    "Delivered",
    "DriverPort",
    "Exported",
    "Fill",
    "FiveTuple",
    "FiveTuples",
    "ForkedPool",
    "FrameTooLarge",
    "Holder",
    "HolderStats",
    "Hub",
    "LeakExample",
    "LeakReport",
    "LeakSite",
    "MalformedBatch",
    "NoHeadroom",
    "NoPool",
    "NoTailroom",
    "NoViews",
    "Nonlinear",
    "NotArmed",
    "NotEmpty",
    "OutOfRange",
    "Outstanding",
    "Overlap",
    "Pool",
    "PoolClosed",
    "PoolEvents",
    "PoolExhausted",
    "PoolMemory",
    "PoolStats",
    "PoolTooSmall",
    "QuotaEvents",
    "ReadOnly",
    "Shared",
    "Skb",
    "SkbBatch",
    "SkbpoolError",
    "TooManyHandles",
    "TooManyHolders",
    "TooManyReferences",
    "TooShort",
    "Transition",
    "UnknownHandle",
    "WatermarkStats",
    "WrongHandle",
    "__version__",
    "adopt",
    "brought",
    "copies",
    "get_include",
    "holders",
    "init_zero_copy_buffer",
]


def get_include() -> str:
    """Return the folder of `skbpool.h`, for C, C++ and Cython compilers.

    Example:
        >>> import pathlib, skbpool
        >>> (pathlib.Path(skbpool.get_include()) / "skbpool.h").is_file()
        True
    """
    return str(Path(__file__).parent / "include")


_LATER = ("Client", "Tls", "aio")
"""What is imported when it is first asked for: it needs grpcio, nothing else here does."""


def __dir__() -> list[str]:
    """Return the names there are, those imported later too: completion offers them."""
    return sorted({*globals(), *_LATER})


def __getattr__(name: str) -> object:
    """Import what comes later."""
    if name == "aio":
        return importlib.import_module("skbpool.aio")
    if name in _LATER:
        import skbpool.client

        return getattr(skbpool.client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
