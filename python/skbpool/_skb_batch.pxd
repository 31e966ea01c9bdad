# cython: language_level=3
"""The class `SkbBatch` for Cython: `from skbpool._skb_batch cimport SkbBatch`."""

from skbpool cimport skb_batch

cdef class SkbBatch:
    # Never NULL.
    cdef skb_batch *batch
