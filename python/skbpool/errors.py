"""What can go wrong, as types: every exception of the package is an `SkbpoolError`.

The message says what happened and what to do; the figures in it are attributes as well. Where
Python has a type of its own for such a thing, the exception is one of that type too: a `NoHeadroom`
is a `ValueError`, a `BufferReleased` a `BufferError`.
"""

__all__ = [
    "AuditFailed",
    "BadMemory",
    "BadPool",
    "BadView",
    "BufferReleased",
    "BufferTooSmall",
    "CaptureError",
    "Closed",
    "Exported",
    "ForkedPool",
    "FrameTooLarge",
    "MalformedBatch",
    "NoHeadroom",
    "NoPool",
    "NoTailroom",
    "NoViews",
    "Nonlinear",
    "NotArmed",
    "NotEmpty",
    "OutOfRange",
    "Overlap",
    "PoolClosed",
    "PoolExhausted",
    "PoolMemory",
    "PoolTooSmall",
    "ReadOnly",
    "Shared",
    "SkbpoolError",
    "TooManyHandles",
    "TooManyHolders",
    "TooManyReferences",
    "TooShort",
    "UnknownHandle",
    "WrongHandle",
]


class SkbpoolError(Exception):
    """Base of all exceptions of the package.

    Figures are attributes, under the names that the subclasses annotate.
    """

    def __init__(self, message: str, **figures: int | str) -> None:
        super().__init__(message)
        self.__dict__.update(figures)


# --- pools ---------------------------------------------------------------------------------------


class PoolExhausted(SkbpoolError):
    """No buffer is free, or none became free before the deadline."""

    buffers: int
    """Buffers of the pool."""
    in_flight: int
    """Buffers that somebody has a view of."""
    cached: int
    """Free buffers in the caches of other threads."""


class PoolClosed(SkbpoolError):
    """The pool was closed: views stay valid, new buffers there are none."""


class ForkedPool(SkbpoolError):
    """It belongs to the process that forked this one: inherited views stay readable, here."""


class PoolTooSmall(SkbpoolError):
    """The pool cannot promise as many buffers as a driver or consumer needs at worst."""

    needed: int
    """Buffers asked for."""
    reserved: int
    """Buffers promised to others."""
    buffers: int
    """Buffers of the pool."""


class BadPool(SkbpoolError, ValueError):
    """A pool cannot have that count, order or kind of pages."""


class PoolMemory(SkbpoolError, MemoryError):
    """The machine has not the memory that the pool needs."""

    needed: int
    """Bytes asked for; absent where a system call failed for another reason."""
    available: int
    """Bytes that could be had."""


class AuditFailed(SkbpoolError):
    """A buffer is in two places or in none; `Pool.audit` is for quiet pools."""


# --- buffers -------------------------------------------------------------------------------------


class BufferReleased(SkbpoolError, BufferError):
    """The buffer or view was released, armed or moved before and is used up."""


class Exported(SkbpoolError, BufferError):
    """Memoryviews of the buffer or view are alive; release them first."""

    exports: int
    """How many."""


class BadMemory(SkbpoolError, ValueError):
    """Memory that cannot be made a buffer: too small, too large, not aligned."""


class OutOfRange(SkbpoolError, IndexError):
    """Bytes outside the buffer or the view, or a number that no verb can take.

    Those are all but 0 to 2^32 - 1, for every verb. For a pool's count and order it is `BadPool`.
    """

    start: int
    """First byte asked for; absent, as the others, where it is the number that cannot be."""
    end: int
    """First byte after those asked for."""
    size: int
    """Bytes there are."""


class Overlap(SkbpoolError, ValueError):
    """A view would begin inside an earlier one; views are cut from the front to the back."""

    start: int
    """First byte of the new window."""
    taken: int
    """First byte that is free."""


class NotArmed(SkbpoolError):
    """Every view that the buffer was armed for has been cut."""


class NoViews(SkbpoolError, ValueError):
    """A buffer is armed for one view or more; to bring it home unseen, release it."""


class TooManyReferences(SkbpoolError, OverflowError):
    """The reference count is at its limit; copy instead."""


# --- views ---------------------------------------------------------------------------------------


class Shared(SkbpoolError, BufferError):
    """Others have views of the buffer, so it is read-only; `unshare()` makes a copy."""


class ReadOnly(SkbpoolError, BufferError):
    """The memory was adopted as read-only; `unshare()` makes a writable copy."""


class NoHeadroom(SkbpoolError, ValueError):
    """`push()` has too little room before the data."""

    needed: int
    """Bytes asked for."""
    have: int
    """Bytes there are."""


class NoTailroom(SkbpoolError, ValueError):
    """`put()` or `reserve()` has too little room behind the data."""

    needed: int
    """Bytes asked for."""
    have: int
    """Bytes there are."""


class TooShort(SkbpoolError, ValueError):
    """`pull()`, `trim()` or `pull_up()` asked for more than there is."""

    needed: int
    """Bytes asked for."""
    have: int
    """Bytes there are."""


class Nonlinear(SkbpoolError, BufferError):
    """The data is a chain of several views; `linearize()` brings it into one buffer."""


class NotEmpty(SkbpoolError, ValueError):
    """`reserve()` comes before `put()`: the view already has data."""


class BufferTooSmall(SkbpoolError, ValueError):
    """The pool's buffers are too small for data that has to lie in one piece."""

    needed: int
    """Bytes asked for."""
    buffer: int
    """Bytes of a buffer."""


class NoPool(SkbpoolError, ValueError):
    """A copy needs buffers, and the view's own buffer belongs to no pool: name one."""


# --- messages, drivers and consumers --------------------------------------------------------------


class MalformedBatch(SkbpoolError, ValueError):
    """A message contradicts itself, or is none; nothing of it was taken."""


class FrameTooLarge(SkbpoolError, ValueError):
    """A frame over the limit, or one that fits no message; nothing of its message was taken."""

    index: int
    """Which frame of the batch or list, from 0; absent for a single frame that was to be sent."""
    length: int
    """Bytes of the frame, or of the message that it needs."""
    limit: int
    """Bytes allowed."""


class CaptureError(SkbpoolError, ValueError):
    """A capture file cannot be read on, or cannot hold a frame; the frames before it are whole."""

    file: str
    """The file that was read; absent when writing."""
    offset: int
    """Where the record, block or header begins that is wrong; absent when writing."""


class TooManyHolders(SkbpoolError):
    """As many drivers, consumers and sessions are registered as can be told apart."""


class Closed(SkbpoolError, ValueError):
    """The driver, consumer or file was closed and is used no more."""


# --- leases --------------------------------------------------------------------------------------


class UnknownHandle(SkbpoolError, LookupError):
    """The session holds nothing under a handle: it is used up, made up, or another session's."""

    handle: int
    """The handle."""


class WrongHandle(SkbpoolError, ValueError):
    """A handle of a buffer where an skb is needed or the other way round, or one named twice."""

    handle: int
    """The handle."""


class BadView(SkbpoolError, ValueError):
    """What is said of a view contradicts itself."""


class TooManyHandles(SkbpoolError):
    """The session would hold more handles than it may."""

    held: int
    """Handles it holds; absent, as the others, if it has no numbers left to give."""
    more: int
    """Handles it would have taken."""
    limit: int
    """Handles it may hold."""
