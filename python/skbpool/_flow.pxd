# cython: language_level=3
"""The classes `FiveTuple` and `FiveTuples` for Cython."""

from skbpool cimport skb_flow

cdef class FiveTuple:
    cdef skb_flow flow

    cdef tuple fields(self)

cdef class FiveTuples:
    cdef skb_flow *flows
    cdef Py_ssize_t count

    cdef object column(
        self, void *field, const char *format, Py_ssize_t itemsize, Py_ssize_t items=*
    )

# Room for the flows of a batch; uninitialised.
cdef FiveTuples room_for(Py_ssize_t count)
