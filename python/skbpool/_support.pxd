# cython: language_level=3
"""What the Cython modules of this package share."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.number cimport PyNumber_Index
from libc.stdint cimport uint32_t, uintptr_t

from skbpool cimport skb_pool

cdef extern from *:
    """
    /* Whether an index is an int small enough to be read in place. */
    static inline int skbpool_small_int(PyObject *index, Py_ssize_t *value)
    {
        if (!PyLong_CheckExact(index))
            return 0;
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *)index))
            return 0;
        *value = PyUnstable_Long_CompactValue((PyLongObject *)index);
    #else
        if (Py_SIZE(index) < -1 || Py_SIZE(index) > 1)
            return 0;
        *value = Py_SIZE(index) * (Py_ssize_t)((PyLongObject *)index)->ob_digit[0];
    #endif
        return 1;
    }
    """
    bint small_int "skbpool_small_int" (object index, Py_ssize_t *value) noexcept


cdef inline int check(int code) except -1:
    """Raise the exception of a C function that failed."""
    if code != 0:
        from skbpool._native import _take_failure
        raise _take_failure()
    return 0


cdef inline uint32_t any_number(object given) except? 0xFFFFFFFF:
    """As `number`, for anything."""
    cdef int overflow = 0
    cdef object index = PyNumber_Index(given)
    cdef long long value = PyLong_AsLongLongAndOverflow(index, &overflow)
    if overflow != 0 or value != <long long><uint32_t>value:
        from skbpool.errors import OutOfRange

        # Python refuses to write out what is very long.
        named = index if index.bit_length() < 128 else "a number of more than 127 bits"
        raise OutOfRange(f"{named} is not between 0 and 4294967295")
    return <uint32_t>value


cdef inline uint32_t number(object given) except? 0xFFFFFFFF:
    """Return an integer of 32 bits, by its `__index__`; OutOfRange if it has more."""
    cdef Py_ssize_t small
    if small_int(given, &small) and small == <Py_ssize_t><uint32_t>small:
        return <uint32_t>small
    return any_number(given)


cdef inline int refuse_exports(Py_ssize_t exports, str what) except -1:
    """Raise Exported unless `exports` is 0; `what` names the memoryviews that are alive."""
    if exports != 0:
        from skbpool.errors import Exported
        raise Exported(f"{exports} {what} of it are alive; release them first", exports=exports)
    return 0


cdef inline const skb_pool *pool_of(pool) except? NULL:
    """Return the pool inside a `Pool`, or NULL for None; the imports may run anything."""
    if pool is None:
        return NULL
    from skbpool._native import _pool_address
    return <const skb_pool *><uintptr_t>_pool_address(pool)


cdef inline int export_bytes(
    Py_buffer *view, object owner, const void *data, Py_ssize_t length, bint readonly, int flags
) except -1:
    """Describe bytes to whoever asks for them; their length lives in the view itself."""
    if readonly and flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
        raise BufferError("views are read-only; data_mut() gives a writable memoryview")
    view.obj = owner
    view.buf = <void *>data
    view.len = length
    view.itemsize = 1
    view.readonly = readonly
    view.ndim = 1
    view.format = NULL
    if flags & PyBUF_FORMAT == PyBUF_FORMAT:
        view.format = "B"
    view.shape = NULL
    if flags & PyBUF_ND == PyBUF_ND:
        view.shape = &view.len
    view.strides = NULL
    if flags & PyBUF_STRIDES == PyBUF_STRIDES:
        view.strides = &view.itemsize
    view.suboffsets = NULL
    view.internal = NULL
    return 0
