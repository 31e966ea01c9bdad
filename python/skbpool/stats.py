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

    Attributes:
        name: The name the pool was made with.
        buffers: Buffers it has.
        buffer_bytes: Bytes of each.
        free: Buffers for anybody.
        cached: Free buffers in the caches of single threads.
        in_flight: Buffers that somebody has a view of, or that were allocated and not armed yet.
        reserved: Buffers promised to drivers, caches and consumers.
        state: `"open"`, `"closed"`, `"orphaned"`: closed and alive because views are outstanding,
            or `"forked"`: the pool of the process that forked this one.
        alloc_fast: Buffers allocated from a thread's cache.
        alloc_slow: Buffers allocated from the depot.
        alloc_empty: Allocations that found no buffer.
        refills: Magazines that caches took from the depot.
        releases: Buffers that came home.
        violations: Releases that should not have been.
    """

    name: str
    buffers: int
    buffer_bytes: int
    free: int
    cached: int
    in_flight: int
    reserved: int
    state: str
    alloc_fast: int
    alloc_slow: int
    alloc_empty: int
    refills: int
    releases: int
    violations: int


@dataclass(frozen=True, slots=True)
class WatermarkStats:
    """How a pool stands to its watermarks.

    Attributes:
        low: With fewer free buffers the pool is low; 0: only when an allocation finds none.
        high: With as many free buffers it has recovered.
        is_low: Whether it is low now.
        low_crossings: How often it became low.
        high_crossings: How often it recovered.
        exhaustions: How often an allocation found nothing for the first time since the pool became
            low.
    """

    low: int
    high: int
    is_low: bool
    low_crossings: int
    high_crossings: int
    exhaustions: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found by walking every free list: each buffer in exactly one place.

    Attributes:
        free: Buffers in the depot.
        cached: Buffers in caches.
        in_flight: Buffers with references, those in quarantine included.
        quarantined: Buffers out of use after a violation.
    """

    free: int
    cached: int
    in_flight: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class HolderStats:
    """What one named holder has.

    Attributes:
        name: The name it registered under.
        kind: `"driver"`, `"consumer"`, `"session"` or `"process"`.
        views: Views it holds now.
        bytes: Truesize of those views in bytes.
        acquired: Views it was ever given.
        released: Views it ever gave back.
        retired: It is gone, and still holds views.
        oldest_at_least: Seconds: its oldest view is that old or older; 0 if it holds none.
        oldest_at_most: Seconds: its oldest view is that old or younger; 0 if it holds none.
        peak_views: Most views it was seen to hold, whenever figures were read or its quota was
            reached.
        peak_bytes: Most bytes, likewise.
    """

    name: str
    kind: str
    views: int
    bytes: int
    acquired: int
    released: int
    retired: bool
    oldest_at_least: float
    oldest_at_most: float
    peak_views: int
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Transition:
    """What became of views of a buffer.

    Attributes:
        kind: `"delivered"`, `"cloned"` or `"released"`.
        after: Seconds after the allocation.
        views: Views; 63 are 63 or more.
        holder: Who got them or gave them back, if anybody answers for them.
        holder_kind: What that is, as in `HolderStats.kind`.
    """

    kind: str
    after: float
    views: int
    holder: str | None
    holder_kind: str | None


@dataclass(frozen=True, slots=True)
class LeakExample:
    """One recorded buffer that is out.

    Attributes:
        index: Its index in the pool.
        generation: How often it had come home when it was allocated.
        age: Seconds since it was allocated.
        armed: Views it was armed for last, by this owner or an earlier one; 0: never.
        references: References to it now.
        transitions: The last transitions, the oldest first.
        forgotten: Transitions before those.
    """

    index: int
    generation: int
    age: float
    armed: int
    references: int
    transitions: list[Transition]
    forgotten: int


@dataclass(frozen=True, slots=True)
class LeakSite:
    """Recorded buffers that are out, of one site and with one holder.

    Attributes:
        file: File of the line that allocated them; empty if there were too many sites.
        line: That line.
        function: The function it is in; empty for Rust.
        holder: Who was handed views of them last, or for whom they were allocated, if anybody.
        holder_kind: What that is, as in `HolderStats.kind`.
        count: Buffers that were recorded.
        estimate: Buffers that these stand for, where only a sample is recorded.
        bytes: Bytes of the recorded buffers.
        oldest: Seconds since the oldest was allocated.
        examples: Some of them, the oldest first.
    """

    file: str
    line: int
    function: str
    holder: str | None
    holder_kind: str | None
    count: int
    estimate: int
    bytes: int
    oldest: float
    examples: list[LeakExample]


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What is out for longer than a limit, most buffers first; as a string, a table.

    Attributes:
        pool: The pool's name.
        held_longer_than: The limit in seconds.
        sites: Where they come from.
        text: The table.
    """

    pool: str
    held_longer_than: float
    sites: list[LeakSite]
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What is out of a pool, by holder; as a string, a table.

    Attributes:
        buffers: Buffers that are out.
        bytes: Bytes of these buffers.
        references: References to them; a buffer being filled counts as one.
        holders: Holders that have views.
        nobody_named: References that none of these answers for.
        shared_accounts: Holders may have views of other pools too: `nobody_named` is the least that
            it can be.
        text: The table.
    """

    buffers: int
    bytes: int
    references: int
    holders: list[HolderStats]
    nobody_named: int
    shared_accounts: bool
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class BroughtStats:
    """What became of Python memory that was made buffers, in this process.

    Attributes:
        brought: Objects that `adopt` and `init_zero_copy_buffer` took.
        returned: Objects whose last view is gone, and that were let go of.
        waiting: Objects let go of by a thread without the interpreter lock, and not collected yet.
        leaked: Objects let go of while the interpreter was exiting, and left alone.
    """

    brought: int
    returned: int
    waiting: int
    leaked: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a batch, summed over consumers.

    Attributes:
        frames: Frames of the batch.
        published: Views that consumers were handed.
        copied: Of those, copies in memory of the consumers' own.
        missed: Views that consumers missed.
        evicted: Views that this driver had delivered before and that were taken back to make place;
            their consumers miss them, too.
        unclaimed: Frames that no consumer was there for.
        dropped: `{reason: {"frames": n, "bytes": n}}`: why views were missed; after the hub was
            closed, the frames that were dropped.
    """

    frames: int
    published: int
    copied: int
    missed: int
    evicted: int
    unclaimed: int
    dropped: dict[str, dict[str, int]]
