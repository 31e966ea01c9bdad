# cython: language_level=3
"""Writable bytes of a view, as memoryviews."""

from libc.stdint cimport uint8_t

from skbpool cimport skb_t

# A memoryview of `length` bytes at `data`, which are among the data of `skb`. `owner` keeps that
# alive; memoryviews that are alive are counted in both numbers.
cdef object writable(
    object owner, skb_t *skb, Py_ssize_t *exports, Py_ssize_t *writers, uint8_t *data,
    Py_ssize_t length
)
