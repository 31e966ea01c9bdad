# cython: language_level=3, boundscheck=False, wraparound=False, auto_pickle=False
"""Writable bytes of a view, as memoryviews."""

cimport cython
from libc.stdint cimport uint8_t

from skbpool cimport import_skbpool_core, skb_data_mut, skb_t
from skbpool._support cimport check, export_bytes

import_skbpool_core()


@cython.final
@cython.internal
cdef class _Writable:
    """Bytes of a view that may be written while a memoryview of them is alive."""

    cdef object owner
    cdef skb_t *skb
    cdef Py_ssize_t *exports
    cdef Py_ssize_t *writers
    cdef uint8_t *data
    cdef Py_ssize_t length

    def __getbuffer__(self, Py_buffer *view, int flags):
        # A memoryview's `obj` is this, so anybody can ask again when the bytes are long gone.
        cdef uint8_t *first = NULL
        if self.skb is NULL:  # whoever makes one by its type gets one of no view
            raise BufferError("these are the bytes of no view")
        check(skb_data_mut(self.skb, &first))
        if self.data < first or self.data + self.length > first + self.skb.len:
            raise BufferError("the bytes are not among the view's data any more")
        export_bytes(view, self, self.data, self.length, False, flags)
        self.exports[0] += 1
        self.writers[0] += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports[0] -= 1
        self.writers[0] -= 1


cdef object writable(
    object owner, skb_t *skb, Py_ssize_t *exports, Py_ssize_t *writers, uint8_t *data,
    Py_ssize_t length
):
    cdef _Writable bytes_ = _Writable.__new__(_Writable)
    bytes_.owner = owner
    bytes_.skb = skb
    bytes_.exports = exports
    bytes_.writers = writers
    bytes_.data = data
    bytes_.length = length
    return memoryview(bytes_)
