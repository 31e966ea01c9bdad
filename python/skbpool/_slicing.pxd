# cython: language_level=3
"""What slicing a view costs less with than by the general functions of CPython."""

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
