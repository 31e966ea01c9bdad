# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Views of packet buffers."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject, PyTypeObject
from cpython.slice cimport PySlice_AdjustIndices
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t

from skbpool cimport (
    SKB_COPIED, SKB_ORIGINAL_LENGTH, import_skbpool_core, skb_append_frag, skb_buffer_references,
    skb_clone, skb_copy, skb_copy_bits, skb_data, skb_data_mut, skb_get_flow, skb_headroom,
    skb_is_shared, skb_is_writable, skb_len, skb_linearize, skb_pool, skb_pull, skb_pull_up,
    skb_push, skb_put, skb_release, skb_reserve, skb_reslice, skb_set_hashes, skb_slice,
    skb_tailroom, skb_trim, skb_truesize, skb_unshare,
)
from skbpool._flow cimport FiveTuple
from skbpool._lending cimport (
    deallocate, has_free, has_spare, lend, let_go_of, pop_free, settle, settle_of, take_spare,
)
from skbpool._slicing cimport byte_at, index_of, plain_slice, unpack
from skbpool._support cimport check, export_bytes, number, pool_of, refuse_exports
from skbpool._writable cimport writable

from skbpool import errors

__all__ = ["Skb"]

import_skbpool_core()


cdef Skb fresh():
    return <Skb>pop_free() if has_free() else Skb.__new__(Skb)


cdef void settle_all() noexcept:
    settle()


@cython.final
cdef class Skb:
    """A view of bytes in a buffer, and what is known about the packet.

    It owns one reference to the buffer, which goes home when the last view is gone. Its bytes are
    read without copying, as `memoryview(skb)` or by any consumer of the buffer protocol; they may
    be written if this is the only view and the memory is writable. The words are those of the
    Linux kernel's sk_buff.

    Made by `Buffer.into_skb`, `Armed.skb` and `Fill.cut`. A view equals only itself. Releasing it
    twice is harmless; any other use after release raises `BufferReleased`. Verbs raise `OutOfRange`
    for numbers below 0 or above 2^32 - 1, fields `OverflowError` for what does not fit.

    Example:
        >>> from skbpool import Pool
        >>> buffer = Pool(8).alloc()
        >>> memoryview(buffer)[16:21] = b"hello"
        >>> with buffer.into_skb(16, 21) as skb:
        ...     skb.push(2)[:] = b"> "
        ...     print(bytes(skb), len(skb), skb.headroom)
        b'> hello' 7 14
    """

    def __init__(self):
        raise TypeError("views are made of buffers: Buffer.into_skb, Buffer.arm, Buffer.fill")

    def __dealloc__(self):
        skb_release(&self.skb)

    cdef int live(self) except -1:
        if self.skb.header is NULL:
            text = "the view was released or moved before; it is used up when it is handed on"
            raise errors.BufferReleased(text)
        return 0

    cdef skb_t *alive(self) except NULL:
        self.live()
        return &self.skb

    cdef void settle_own(self) noexcept:
        settle_of(self)

    cdef int unexport(self) except -1:
        """Refuse while memoryviews are alive; called before it parts with its reference."""
        self.settle_own()
        return refuse_exports(self.exports, "memoryviews")

    cdef int unwrite(self) except -1:
        """Refuse to share bytes that somebody may write."""
        return refuse_exports(self.writers, "writable memoryviews")

    def release(self):
        """Give the reference to the buffer back, once; Exported if memoryviews are alive."""
        self.unexport()
        skb_release(&self.skb)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.release()

    @property
    def is_released(self):
        """Whether it was released, or moved into a batch or a chain."""
        return self.skb.header is NULL

    def __getbuffer__(self, Py_buffer *view, int flags):
        if self.alive().fragments is not NULL:
            raise errors.Nonlinear("the data is a chain of several views; linearize() it first")
        export_bytes(view, self, skb_data(&self.skb), self.skb.len, True, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1

    def __len__(self):
        return skb_len(self.alive())

    def __bytes__(self):
        cdef uint32_t length = skb_len(self.alive())
        copy = PyBytes_FromStringAndSize(NULL, length)
        check(skb_copy_bits(&self.skb, 0, PyBytes_AS_STRING(copy), length))
        return copy

    def __getitem__(self, key):
        cdef Py_ssize_t start, stop, length
        if isinstance(key, slice):
            if not plain_slice(key, skb_len(self.alive()), &start, &length):
                unpack(key, &start, &stop)
                length = PySlice_AdjustIndices(skb_len(self.alive()), &start, &stop, 1)
            return self.part(start, length)
        start = index_of(key)  # may run anything
        return byte_at(self.alive(), start)

    cdef object bytes_at(self, uint8_t *data, Py_ssize_t length):
        return writable(self, &self.skb, &self.exports, &self.writers, data, length)

    def data_mut(self):
        """Return a writable memoryview of the data; of a chain's first part.

        While it is alive the view cannot be shared or released. Raises Shared if the buffer has
        other views, ReadOnly if the memory was adopted.
        """
        cdef uint8_t *data = NULL
        self.unwrite()
        settle()
        check(skb_data_mut(&self.skb, &data))
        return self.bytes_at(data, self.skb.len)

    def push(self, count):
        """Grow the data by `count` bytes at its front and return them as a writable memoryview.

        Raises:
            NoHeadroom: There is not that much headroom; nothing is touched.
            Shared, ReadOnly: As `data_mut`.
        """
        cdef uint8_t *data = NULL
        cdef uint32_t added = number(count)
        settle()
        check(skb_push(&self.skb, added, &data))
        return self.bytes_at(data, added)

    def put(self, count):
        """Grow the data by `count` bytes at its end and return them as a writable memoryview.

        Raises:
            NoTailroom: There is not that much tailroom; nothing is touched.
            Nonlinear: The view is a chain.
            Shared, ReadOnly: As `data_mut`.
        """
        cdef uint8_t *data = NULL
        cdef uint32_t added = number(count)
        settle()
        check(skb_put(&self.skb, added, &data))
        return self.bytes_at(data, added)

    def pull(self, count):
        """Turn `count` bytes at the front of the data into headroom; TooShort if it has fewer."""
        check(skb_pull(&self.skb, number(count)))

    def trim(self, length):
        """Cut the data off after `length` bytes; TooShort if there are fewer."""
        check(skb_trim(&self.skb, number(length)))

    def reserve(self, count):
        """Make `count` bytes of headroom in a view without data; else NotEmpty or NoTailroom."""
        check(skb_reserve(&self.skb, number(count)))

    def clone(self):
        """Return another view of the same bytes; both are read-only until one is gone.

        Raises Exported if a writable memoryview is alive, TooManyReferences at the count's limit.
        """
        cdef Skb clone = fresh()
        self.unwrite()
        check(skb_clone(&clone.skb, &self.skb))
        return clone

    cdef Skb part(self, Py_ssize_t offset, Py_ssize_t length):
        cdef Skb part
        self.unwrite()
        if has_spare(self):
            part = <Skb>take_spare()
            check(skb_reslice(&part.skb, &self.skb, offset, length))
            return part
        part = fresh()
        check(skb_slice(&part.skb, &self.skb, offset, length))
        lend(self, &self.skb)
        return part

    def slice(self, offset, length):
        """Return a view of `length` bytes from `offset` on; `skb[3:7]` is `skb.slice(3, 4)`.

        Raises OutOfRange unless the bytes are all there, Nonlinear if they reach into fragments.
        """
        return self.part(number(offset), number(length))

    def append_frag(self, Skb other not None):
        """Append the data of another view, which is used up, without copying: makes a chain.

        A view of a memoryview of this very view makes this one Exported, and keeps it for ever
        unless `trim` cuts it off: no garbage collector sees that circle.

        Raises:
            Exported: Memoryviews of the other view are alive.
            OutOfRange: The whole would exceed 2^32 - 1 bytes.
        """
        if other is self:
            raise ValueError("a view cannot be appended to itself; clone() it")
        self.live()
        other.unexport()
        check(skb_append_frag(&self.skb, &other.skb))

    def copy(self, pool=None):
        """Return a copy in buffers of `pool`; None: the pool of this view's buffer.

        Raises PoolExhausted if no buffer is free, NoPool if the view's own belongs to no pool.
        """
        cdef Skb copy = fresh()
        check(skb_copy(&copy.skb, &self.skb, pool_of(pool)))
        return copy

    def unshare(self, pool=None):
        """Make this the only view of its bytes, by copying them if it is not.

        Raises Exported if memoryviews are alive; PoolExhausted and NoPool as `copy`.
        """
        cdef const skb_pool *source = pool_of(pool)
        self.unexport()
        check(skb_unshare(&self.skb, source))

    def linearize(self, pool=None):
        """Bring the data of a chain into one buffer; nothing for a view that is none.

        Raises:
            Exported: Memoryviews of it are alive.
            BufferTooSmall: The pool's buffers cannot hold it.
            PoolExhausted, NoPool: As `copy`.
        """
        cdef const skb_pool *source = pool_of(pool)
        self.unexport()
        check(skb_linearize(&self.skb, source))

    def pull_up(self, count, pool=None):
        """Make sure that the first `count` bytes lie in one piece; TooShort if there are fewer.

        Otherwise raises what `linearize` does.
        """
        cdef const skb_pool *source = pool_of(pool)
        cdef uint32_t needed = number(count)
        self.unexport()
        check(skb_pull_up(&self.skb, needed, source))

    @property
    def length(self):
        """Bytes of data, fragments included."""
        return len(self)

    @property
    def headroom(self):
        """Bytes before the data that `push` may use."""
        return skb_headroom(self.alive())

    @property
    def tailroom(self):
        """Bytes behind the data that `put` may use; 0 for a chain."""
        return skb_tailroom(self.alive())

    @property
    def truesize(self):
        """Bytes its holder is charged for: the buffer's size divided by the views armed on it."""
        return skb_truesize(self.alive())

    @property
    def is_shared(self):
        """Whether the buffer has other references."""
        settle()
        return bool(skb_is_shared(self.alive()))

    @property
    def is_writable(self):
        """Whether `data_mut`, `push` and `put` may write."""
        settle()
        return bool(skb_is_writable(self.alive()))

    @property
    def is_chain(self):
        """Whether the data lies in more than one buffer."""
        return self.alive().fragments is not NULL

    @property
    def references(self):
        """References to its buffer now."""
        settle()
        return skb_buffer_references(self.alive().header)

    @property
    def address(self):
        """Address of the first byte of its data."""
        return <uintptr_t>skb_data(self.alive())

    @property
    def five_tuple(self):
        """Its `FiveTuple`, read by `link_type`; None without an IP header."""
        made = <FiveTuple>FiveTuple.__new__(FiveTuple)
        return made if skb_get_flow(self.alive(), &made.flow) else None

    def set_hash(self):
        """Fill in `hash` if it is 0 and the frame has a flow; return it."""
        skb_set_hashes(self.alive(), 1)
        return self.skb.hash

    @property
    def timestamp_ns(self):
        """When the frame was received, in nanoseconds since the Unix epoch; 0: not known."""
        return self.alive().timestamp_ns

    @timestamp_ns.setter
    def timestamp_ns(self, uint64_t value):
        self.alive().timestamp_ns = value

    @property
    def original_length(self):
        """Bytes the frame had before it was cut short."""
        self.live()
        if self.skb.flags & SKB_ORIGINAL_LENGTH:
            return self.skb.original_length
        return skb_len(&self.skb)

    @original_length.setter
    def original_length(self, uint32_t value):
        self.alive().original_length = value
        self.skb.flags |= SKB_ORIGINAL_LENGTH

    @property
    def is_copied(self):
        """Whether its bytes were copied out of the buffer they arrived in, for its consumer."""
        return self.alive().flags & SKB_COPIED != 0

    @property
    def hash(self):
        """Flow hash; 0: not computed."""
        return self.alive().hash

    @hash.setter
    def hash(self, uint32_t value):
        self.alive().hash = value

    @property
    def port(self):
        """Number of the interface the frame came in by."""
        return self.alive().port

    @port.setter
    def port(self, uint16_t value):
        self.alive().port = value

    @property
    def link_type(self):
        """LINKTYPE_ number of the frame, as in capture files; 1 is Ethernet."""
        return self.alive().link_type

    @link_type.setter
    def link_type(self, uint16_t value):
        self.alive().link_type = value

    def __repr__(self):
        if self.skb.header is NULL:
            return "<skbpool.Skb, released>"
        kind = f"{', shared' if self.is_shared else ''}{', chain' if self.is_chain else ''}"
        return f"<skbpool.Skb of {len(self)} bytes at {self.address:#x}{kind}>"


cdef void let_go(PyObject *view) noexcept:
    let_go_of(view, &(<Skb>view).skb)


deallocate = (<PyTypeObject *>Skb).tp_dealloc
(<PyTypeObject *>Skb).tp_dealloc = let_go
