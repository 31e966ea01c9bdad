"""Figures, as plain frozen dataclasses: `dataclasses.asdict` gives the documented JSON keys."""

from dataclasses import dataclass

__all__ = [
    "Audit",
    "BroughtStats",
    "Delivered",
    "HolderStats",
    "LeakExample",
    "LeakReport",
    "LeakSite",
    "Outstanding",
    "PoolStats",
    "Transition",
    "WatermarkStats",
]


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
    """`"open"`, `"closed"`, `"orphaned"`: closed and alive because views are outstanding, or
    `"forked"`: the pool of the process that forked this one."""
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
class WatermarkStats:
    """How a pool stands to its watermarks."""

    low: int
    """With fewer free buffers the pool is low; 0: only when an allocation finds none."""
    high: int
    """With as many free buffers it has recovered."""
    is_low: bool
    """Whether it is low now."""
    low_crossings: int
    """How often it became low."""
    high_crossings: int
    """How often it recovered."""
    exhaustions: int
    """How often an allocation found nothing for the first time since the pool became low."""


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
    oldest_at_least: float
    """Seconds: its oldest view is that old or older; 0 if it holds none."""
    oldest_at_most: float
    """Seconds: its oldest view is that old or younger; 0 if it holds none."""
    peak_views: int
    """Most views it was seen to hold, whenever figures were read or its quota was reached."""
    peak_bytes: int
    """Most bytes, likewise."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What became of views of a buffer."""

    kind: str
    """`"delivered"`, `"cloned"` or `"released"`."""
    after: float
    """Seconds after the allocation."""
    views: int
    """Views; 63 are 63 or more."""
    holder: str | None
    """Who got them or gave them back, if anybody answers for them."""
    holder_kind: str | None
    """What that is, as in `HolderStats.kind`."""


@dataclass(frozen=True, slots=True)
class LeakExample:
    """One recorded buffer that is out."""

    index: int
    """Its index in the pool."""
    generation: int
    """How often it had come home when it was allocated."""
    age: float
    """Seconds since it was allocated."""
    armed: int
    """Views it was armed for last, by this owner or an earlier one; 0: never."""
    references: int
    """References to it now."""
    transitions: list[Transition]
    """The last transitions, the oldest first."""
    forgotten: int
    """Transitions before those."""


@dataclass(frozen=True, slots=True)
class LeakSite:
    """Recorded buffers that are out, of one site and with one holder."""

    file: str
    """File of the line that allocated them; empty if there were too many sites."""
    line: int
    """That line."""
    function: str
    """The function it is in; empty for Rust."""
    holder: str | None
    """Who was handed views of them last, or for whom they were allocated, if anybody."""
    holder_kind: str | None
    """What that is, as in `HolderStats.kind`."""
    count: int
    """Buffers that were recorded."""
    estimate: int
    """Buffers that these stand for, where only a sample is recorded."""
    bytes: int
    """Bytes of the recorded buffers."""
    oldest: float
    """Seconds since the oldest was allocated."""
    examples: list[LeakExample]
    """Some of them, the oldest first."""


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What is out for longer than a limit, most buffers first; as a string, a table."""

    pool: str
    """The pool's name."""
    held_longer_than: float
    """The limit in seconds."""
    sites: list[LeakSite]
    """Where they come from."""
    text: str
    """The table."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What is out of a pool, by holder; as a string, a table."""

    buffers: int
    """Buffers that are out."""
    bytes: int
    """Bytes of these buffers."""
    references: int
    """References to them; a buffer being filled counts as one."""
    holders: list[HolderStats]
    """Holders that have views."""
    nobody_named: int
    """References that none of these answers for."""
    shared_accounts: bool
    """Holders may have views of other pools too: `nobody_named` is the least that it can be."""
    text: str
    """The table."""

    def __str__(self) -> str:
        return self.text


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


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch, summed over consumers."""

    frames: int
    """Frames of the batch."""
    published: int
    """Views that consumers were handed."""
    copied: int
    """Of those, copies in memory of the consumers' own."""
    missed: int
    """Views that consumers missed."""
    evicted: int
    """Views that this driver had delivered before and that were taken back to make place; their
    consumers miss them, too."""
    unclaimed: int
    """Frames that no consumer was there for."""
    dropped: dict[str, dict[str, int]]
    """`{reason: {"frames": n, "bytes": n}}`: why views were missed; after the hub was closed, the
    frames that were dropped."""
