# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Many views as one thing, and how views and batches become Python objects."""

cimport cython
from cpython.number cimport PyNumber_AsSsize_t
from cpython.pycapsule cimport PyCapsule_New
from cpython.slice cimport PySlice_AdjustIndices, PySlice_Unpack
from libc.stdint cimport uint64_t

from array import array

from cpython cimport array as c_array

from skbpool cimport (
    SKBPOOL_OBJECTS_MAJOR, import_skbpool_core, skb_batch, skb_batch_append, skb_batch_clone,
    skb_batch_create, skb_batch_free, skb_batch_pop, skb_batch_push, skb_batch_release,
    skb_batch_skbs, skb_clone, skb_get_flows, skb_len, skb_pool, skb_set_hashes, skb_t,
    skbpool_objects,
)
from skbpool._flow cimport FiveTuples, room_for
from skbpool._skb cimport Skb, fresh, settle_all
from skbpool._support cimport check, pool_of

from skbpool._native import _register

__all__ = ["SkbBatch"]

import_skbpool_core()

cdef object LENGTHS = array("I")


cdef Skb clone_of(const skb_t *skb):
    cdef Skb clone = fresh()
    check(skb_clone(&clone.skb, skb))
    return clone


@cython.final
@cython.internal
cdef class _Clones:
    """Iterates over a batch that stays as it is."""

    cdef SkbBatch batch
    cdef size_t position

    def __iter__(self):
        return self

    @cython.nonecheck(True)  # whoever makes one by its type gets one of no batch
    def __next__(self):
        cdef size_t count = 0
        cdef skb_t *skbs = skb_batch_skbs(self.batch.batch, &count)
        if self.position >= count:
            raise StopIteration
        self.position += 1
        return clone_of(&skbs[self.position - 1])


@cython.final
@cython.internal
cdef class _Drain:
    """Iterates over skbs that it owns, the last of the batch first."""

    cdef SkbBatch batch

    def __iter__(self):
        return self

    def __next__(self):
        cdef Skb skb
        if len(self.batch) == 0:
            raise StopIteration
        skb = fresh()
        check(skb_batch_pop(self.batch.batch, &skb.skb))
        return skb


@cython.final
cdef class SkbBatch:
    """Many views in order, handled as one thing: the unit of every hot path.

    Putting a view into a batch moves it: the `Skb` is used up. Looking at the batch (`batch[3]`,
    `batch[2:5]`, `for skb in batch`) gives further views of the same bytes, which are shared and
    therefore read-only; `pop` and `drain` move the views themselves out again.

    Args:
        skbs: Views to begin with, or another batch, which is empty afterwards.

    Example:
        >>> from skbpool import Pool, SkbBatch
        >>> pool = Pool(8)
        >>> with pool.alloc().arm(2) as armed:
        ...     batch = SkbBatch([armed.skb(0, 60), armed.skb(64, 1000)])
        >>> len(batch), batch.nbytes, list(batch.lengths())
        (2, 1060, [60, 1000])
        >>> batch.release()
        >>> pool.stats().in_flight
        0
    """

    def __cinit__(self):
        self.batch = skb_batch_create()

    def __init__(self, skbs=()):
        self.extend(skbs)

    def __dealloc__(self):
        skb_batch_free(&self.batch)

    # --- filling and emptying ------------------------------------------------------------------

    def append(self, Skb skb not None):
        """Move a view to the end.

        Raises:
            BufferReleased: The view is used up.
            Exported: Memoryviews of it are alive.
        """
        skb.unexport()
        check(skb_batch_push(self.batch, &skb.skb))

    def extend(self, skbs):
        """Move views to the end, or all of another batch, which costs nothing for each of them.

        Raises:
            BufferReleased: One of the views is used up; those before it have been moved.
            Exported: Memoryviews of one are alive; those before it have been moved.
        """
        if isinstance(skbs, SkbBatch):
            skb_batch_append(self.batch, (<SkbBatch>skbs).batch)
        else:
            for skb in skbs:
                self.append(skb)

    def pop(self):
        """Move the last view out.

        Raises:
            IndexError: The batch is empty.
        """
        cdef Skb skb = fresh()
        if len(self) == 0:
            raise IndexError("pop from an empty batch")
        check(skb_batch_pop(self.batch, &skb.skb))
        return skb

    def drain(self):
        """Return an iterator that moves the views out, in order; the batch is empty at once.

        Views that the iterator did not come to are released with it.
        """
        cdef _Drain drain = _Drain.__new__(_Drain)
        cdef size_t count = 0, position
        drain.batch = SkbBatch.__new__(SkbBatch)
        skb_batch_append(drain.batch.batch, self.batch)
        # Popped from the end, so they are turned round.
        cdef skb_t *skbs = skb_batch_skbs(drain.batch.batch, &count)
        for position in range(count // 2):
            skbs[position], skbs[count - 1 - position] = skbs[count - 1 - position], skbs[position]
        return drain

    def release(self):
        """Release all views; the batch is empty afterwards and can be used again.

        One atomic operation for each run of views of one buffer.
        """
        skb_batch_release(self.batch)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()

    # --- looking -------------------------------------------------------------------------------

    def __len__(self):
        cdef size_t count = 0
        skb_batch_skbs(self.batch, &count)
        return count

    def __getitem__(self, key):
        cdef Py_ssize_t start, stop, step, length, position
        cdef size_t count = 0
        cdef SkbBatch part
        cdef Skb clone
        cdef skb_t *skbs
        # The key is made numbers first: its `__index__` may change the batch.
        if isinstance(key, slice):
            PySlice_Unpack(key, &start, &stop, &step)
            part = SkbBatch.__new__(SkbBatch)
            skbs = skb_batch_skbs(self.batch, &count)
            length = PySlice_AdjustIndices(count, &start, &stop, step)
            for position in range(length):
                clone = clone_of(&skbs[start + position * step])
                check(skb_batch_push(part.batch, &clone.skb))
            return part
        start = PyNumber_AsSsize_t(key, IndexError)
        skbs = skb_batch_skbs(self.batch, &count)
        if start < 0:
            start += count
        if start < 0 or start >= <Py_ssize_t>count:
            raise IndexError(f"view {key} is not among the {count} of the batch")
        return clone_of(&skbs[start])

    def __iter__(self):
        cdef _Clones clones = _Clones.__new__(_Clones)
        clones.batch = self
        return clones

    def clone(self):
        """Return a batch of further views of the same bytes: one atomic addition for each run of
        views of one buffer.

        Raises:
            TooManyReferences: A buffer's count is at its limit.
        """
        cdef SkbBatch clone = SkbBatch.__new__(SkbBatch)
        check(skb_batch_clone(clone.batch, self.batch))
        return clone

    def lengths(self):
        """Return the bytes of each view as an `array.array` of unsigned 32-bit integers."""
        cdef size_t count = 0, position
        cdef c_array.array lengths = c_array.clone(LENGTHS, len(self), zero=False)
        # Making the array may collect garbage, and that runs anything.
        cdef skb_t *skbs = skb_batch_skbs(self.batch, &count)
        if count != <size_t>len(lengths):
            raise RuntimeError("the batch changed while its lengths were asked for")
        for position in range(count):
            lengths.data.as_uints[position] = skb_len(&skbs[position])
        return lengths

    def five_tuples(self):
        """Return the `FiveTuples` of all views, read without the interpreter's lock.

        Ethernet with up to two VLAN tags, raw IP, BSD loopback and Linux cooked frames, by the
        `link_type` of each; at most the first 512 bytes, in whichever parts of a chain they lie.
        Meanwhile a clone of the batch keeps the bytes, whatever other threads do with this one. 48
        bytes of memory a view, and some 20 ns; `Skb.five_tuple` takes 130 ns, unpacked. `make
        bench-python` printed that.

        Raises:
            TooManyReferences: A buffer's count is at its limit.
        """
        cdef SkbBatch clone = self.clone()
        cdef size_t count = 0
        cdef skb_t *skbs = skb_batch_skbs(clone.batch, &count)
        cdef FiveTuples made = room_for(count)
        with nogil:
            skb_get_flows(skbs, count, made.flows)
            skb_batch_release(clone.batch)
        return made

    def set_hashes(self):
        """Fill in the `hash` of each view where it is 0 and the frame has a flow.

        Returns:
            How many got theirs.
        """
        cdef size_t count = 0
        cdef skb_t *skbs = skb_batch_skbs(self.batch, &count)
        return skb_set_hashes(skbs, count)

    @property
    def nbytes(self):
        """Bytes of data of all views together."""
        cdef size_t count = 0, position
        cdef uint64_t total = 0
        cdef skb_t *skbs = skb_batch_skbs(self.batch, &count)
        for position in range(count):
            total += skb_len(&skbs[position])
        return total

    def __repr__(self):
        return f"<skbpool.SkbBatch of {len(self)} views, {self.nbytes} bytes>"


# --- C values as Python objects ------------------------------------------------------------------


cdef object skb_to_object(skb_t *skb):
    cdef Skb made = fresh()
    made.skb = skb[0]
    skb.header = NULL
    return made


cdef skb_t *skb_of_object(object obj) except NULL:
    if not isinstance(obj, Skb):
        raise TypeError(f"an Skb is needed, not {type(obj).__name__}")
    (<Skb>obj).settle_own()
    return &(<Skb>obj).skb


cdef int skb_from_object(skb_t *out, object obj) except -1:
    cdef skb_t *skb = skb_of_object(obj)
    (<Skb>obj).live()
    (<Skb>obj).unexport()
    out[0] = skb[0]
    skb.header = NULL
    return 0


cdef object skb_batch_to_object(skb_batch **batch):
    cdef SkbBatch made = SkbBatch.__new__(SkbBatch)
    skb_batch_free(&made.batch)
    made.batch = batch[0]
    batch[0] = NULL
    return made


cdef skb_batch *skb_batch_of_object(object obj) except NULL:
    if not isinstance(obj, SkbBatch):
        raise TypeError(f"an SkbBatch is needed, not {type(obj).__name__}")
    return (<SkbBatch>obj).batch


cdef const skb_pool *skb_pool_of_object(object obj) except NULL:
    if obj is None:
        raise TypeError("a Pool is needed, not None")
    return pool_of(obj)


cdef skbpool_objects OBJECTS
OBJECTS.major = SKBPOOL_OBJECTS_MAJOR
OBJECTS.size = sizeof(skbpool_objects)
OBJECTS.skb_to_object = skb_to_object
OBJECTS.skb_of_object = skb_of_object
OBJECTS.skb_from_object = skb_from_object
OBJECTS.skb_batch_to_object = skb_batch_to_object
OBJECTS.skb_batch_of_object = skb_batch_of_object
OBJECTS.skb_pool_of_object = skb_pool_of_object
OBJECTS.skb_settle = settle_all

_C_API = PyCapsule_New(&OBJECTS, "skbpool._skb_batch._C_API", NULL)
_register(_C_API)
