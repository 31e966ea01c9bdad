# cython: language_level=3
"""The class `Skb` for Cython: `from skbpool._skb cimport Skb`.

Call `settle_own()` before the C functions get `&view.skb`, or take it from `skb_of_object()`: a
slice of the view that is gone may still have its reference, for the next one.
"""

from libc.stdint cimport uint8_t

from skbpool cimport skb_t

cdef class Skb:
    # The view itself; its header is NULL once it is released or moved away.
    cdef skb_t skb
    # Memoryviews that are alive, and how many of them are writable.
    cdef Py_ssize_t exports
    cdef Py_ssize_t writers

    # Modules that were compiled find these by their places: new ones go to the end.
    cdef int live(self) except -1
    cdef int unexport(self) except -1
    cdef int unwrite(self) except -1
    cdef Skb part(self, Py_ssize_t offset, Py_ssize_t length)
    cdef skb_t *alive(self) except NULL
    cdef void settle_own(self) noexcept
    cdef object bytes_at(self, uint8_t *data, Py_ssize_t length)

# A view that holds nothing yet; only `header` of its data is set, to NULL.
cdef Skb fresh()

# Gives back the reference of a slice that is gone, whoever lends.
cdef void settle_all() noexcept
