"""Figures, as plain frozen dataclasses: `dataclasses.asdict` gives the documented JSON keys."""

from dataclasses import dataclass

__all__ = ["Audit", "BroughtStats", "HolderStats", "PoolStats"]


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool's figures.

    `free + cached + in_flight == buffers`; while threads are at work the three differ from the
    truth by what was in motion.
    """

    name: str
    """The name the pool was made with."""
    buffers: int
    """Buffers it has."""
    buffer_bytes: int
    """Bytes of each."""
    free: int
    """Buffers for anybody."""
    cached: int
    """Free buffers in the caches of single threads."""
    in_flight: int
    """Buffers that somebody has a view of, or that were allocated and not armed yet."""
    reserved: int
    """Buffers promised to drivers, caches and consumers."""
    state: str
    """`"open"`, `"closed"`, `"orphaned"`: closed and alive because views are outstanding, or `"forked"`:
    the pool of the process that forked this one."""
    alloc_fast: int
    """Buffers allocated from a thread's cache."""
    alloc_slow: int
    """Buffers allocated from the depot."""
    alloc_empty: int
    """Allocations that found no buffer."""
    refills: int
    """Magazines that caches took from the depot."""
    releases: int
    """Buffers that came home."""
    violations: int
    """Releases that should not have been."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found by walking every free list: each buffer in exactly one place."""

    free: int
    """Buffers in the depot."""
    cached: int
    """Buffers in caches."""
    in_flight: int
    """Buffers with references, those in quarantine included."""
    quarantined: int
    """Buffers out of use after a violation."""


@dataclass(frozen=True, slots=True)
class HolderStats:
    """What one named holder has."""

    name: str
    """The name it registered under."""
    kind: str
    """`"driver"`, `"consumer"`, `"session"` or `"process"`."""
    views: int
    """Views it holds now."""
    bytes: int
    """Truesize of those views in bytes."""
    acquired: int
    """Views it was ever given."""
    released: int
    """Views it ever gave back."""
    retired: bool
    """It is gone, and still holds views."""


@dataclass(frozen=True, slots=True)
class BroughtStats:
    """What became of Python memory that was made buffers, in this process."""

    brought: int
    """Objects that `adopt` and `init_zero_copy_buffer` took."""
    returned: int
    """Objects whose last view is gone, and that were let go of."""
    waiting: int
    """Objects let go of by a thread without the interpreter lock, and not collected yet."""
    leaked: int
    """Objects let go of while the interpreter was exiting, and left alone."""
