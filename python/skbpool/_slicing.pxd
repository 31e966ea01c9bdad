# cython: language_level=3
"""Slices and single bytes of a view; plain slices without the general functions of CPython."""

from cpython.number cimport PyNumber_AsSsize_t
from cpython.slice cimport PySlice_Unpack
from libc.stdint cimport uint8_t

from skbpool cimport skb_copy_bits, skb_len, skb_t
from skbpool._support cimport check, small_int

cdef extern from *:
    """
    /*
     * Reads a slice of ints and None, with step None, of a sequence of `size`: what
     * PySlice_Unpack() and PySlice_AdjustIndices() do, without calls. 0: it is no such slice.
     */
    static inline int skbpool_plain_slice(PyObject *key, Py_ssize_t size, Py_ssize_t *start,
                                          Py_ssize_t *length)
    {
        if (!PySlice_Check(key) || ((PySliceObject *)key)->step != Py_None)
            return 0;
        PyObject *first = ((PySliceObject *)key)->start, *behind = ((PySliceObject *)key)->stop;
        Py_ssize_t from = 0, to = size;
        if (first != Py_None && !skbpool_small_int(first, &from))
            return 0;
        if (behind != Py_None && !skbpool_small_int(behind, &to))
            return 0;
        from += from < 0 ? size : 0;
        to += to < 0 ? size : 0;
        from = from < 0 ? 0 : from > size ? size : from;
        to = to < from ? from : to > size ? size : to;
        *start = from;
        *length = to - from;
        return 1;
    }
    """
    bint plain_slice "skbpool_plain_slice" (
        object key, Py_ssize_t size, Py_ssize_t *start, Py_ssize_t *length
    ) noexcept


cdef inline Py_ssize_t index_of(object key) except? -1:
    """Return a number that may be an index; OutOfRange for one that cannot be any's."""
    cdef Py_ssize_t index
    if small_int(key, &index):
        return index
    from skbpool.errors import OutOfRange
    return PyNumber_AsSsize_t(key, OutOfRange)


cdef inline int unpack(object key, Py_ssize_t *start, Py_ssize_t *stop) except -1:
    """Read any slice; ValueError unless its step is 1."""
    cdef Py_ssize_t step
    PySlice_Unpack(key, start, stop, &step)
    if step != 1:
        raise ValueError("a view is contiguous: slices have step 1")
    return 0


cdef inline int byte_at(const skb_t *skb, Py_ssize_t index) except -1:
    """Return one byte of the data, fragments included; negative indices count from the end."""
    cdef uint8_t byte = 0
    cdef Py_ssize_t length = skb_len(skb)
    cdef Py_ssize_t at = index + length if index < 0 else index
    if at < 0 or at >= length:
        from skbpool.errors import OutOfRange
        raise OutOfRange(f"byte {index} is not among the {length} there are")
    check(skb_copy_bits(skb, at, &byte, 1))
    return byte
