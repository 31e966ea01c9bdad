# cython: language_level=3
"""Where the objects of views come from and go to.

Objects of views that are gone wait in a free list. And a slice that is gone lends its reference to
the next slice of the same view: cutting one header after the other out of a frame then costs no
atomic operation. One view of the process lends, the one that was sliced last, and keeps at most one
slice, which nobody answers for and nobody measures. Whoever asks for references in Python, reports
of a pool included, or parts with the lender's own, calls `settle` first; so what is given back is
never a buffer's last reference. C code can tell: another view of the buffer has one reference more
to `skb_buffer_references` and is shared to `skb_is_shared`. All of it under the interpreter's lock.
"""

from cpython.object cimport PyObject, destructor

from skbpool cimport skb_t

cdef extern from *:
    """
    enum { SKBPOOL_FREE_VIEWS = 256 };
    static PyObject *skbpool_free_views[SKBPOOL_FREE_VIEWS];
    static int skbpool_free_count;
    static destructor skbpool_deallocate;   /* what the type came with */

    static PyObject *skbpool_lender;        /* NULL: nobody */
    static skb_t *skbpool_lenders_skb;
    static PyObject *skbpool_spare;         /* gone but for its reference; NULL: none */
    static skb_t *skbpool_spares_skb;

    /* Returns a view that is gone alive: a new reference to it. */
    static inline PyObject *skbpool_revive(PyObject *view)
    {
        _Py_NewReference(view);
        return view;
    }

    static inline int skbpool_has_free(void)
    {
        return skbpool_free_count != 0;
    }

    static inline PyObject *skbpool_pop_free(void)
    {
        return skbpool_revive(skbpool_free_views[--skbpool_free_count]);
    }

    /* Releases what `view` holds and keeps its object. A free function may run below, so with an
     * exception on its way the type's own dealloc, which saves it, does that. */
    static inline void skbpool_discard(PyObject *view, skb_t *skb)
    {
        if (skbpool_free_count == SKBPOOL_FREE_VIEWS || PyErr_Occurred() != NULL) {
            skbpool_deallocate(view);
            return;
        }
        skb_release(skb);
        if (skbpool_free_count == SKBPOOL_FREE_VIEWS) {  /* what ran below let views go as well */
            skbpool_deallocate(view);
            return;
        }
        skbpool_free_views[skbpool_free_count++] = view;
    }

    static inline void skbpool_settle(void)
    {
        PyObject *spare = skbpool_spare;
        skbpool_lender = skbpool_spare = NULL;
        if (spare != NULL)
            skbpool_discard(spare, skbpool_spares_skb);
    }

    static inline void skbpool_settle_of(PyObject *view)
    {
        if (view == skbpool_lender)
            skbpool_settle();
    }

    static inline void skbpool_lend(PyObject *view, skb_t *skb)
    {
        if (view != skbpool_lender) {
            skbpool_settle();
            skbpool_lender = view;
            skbpool_lenders_skb = skb;
        }
    }

    static inline int skbpool_has_spare(PyObject *view)
    {
        return view == skbpool_lender && skbpool_spare != NULL;
    }

    static inline PyObject *skbpool_take_spare(void)
    {
        PyObject *spare = skbpool_spare;
        skbpool_spare = NULL;
        return skbpool_revive(spare);
    }

    static inline void skbpool_let_go(PyObject *view, skb_t *skb)
    {
        if (view == skbpool_lender) {
            skbpool_settle();
        } else if (skbpool_lender != NULL && skbpool_spare == NULL && skb->header != NULL
                   && skb->header == skbpool_lenders_skb->header && skb->fragments == NULL
                   && skb->holder == 0 && skb->birth == 0) {
            skbpool_spare = view;
            skbpool_spares_skb = skb;
            return;
        }
        skbpool_discard(view, skb);
    }
    """
    destructor deallocate "skbpool_deallocate"
    # Whether a view that holds nothing can be had, and that view; `header` is NULL, the rest old.
    bint has_free "skbpool_has_free" () noexcept
    object pop_free "skbpool_pop_free" ()
    # Whether a slice of `view` left its reference, and that slice.
    bint has_spare "skbpool_has_spare" (object view) noexcept
    object take_spare "skbpool_take_spare" ()
    # Makes `view` the one that lends; ends that, for all or if it is `view`.
    void lend "skbpool_lend" (object view, skb_t *skb) noexcept
    void settle "skbpool_settle" () noexcept
    void settle_of "skbpool_settle_of" (object view) noexcept
    # What the type's dealloc does.
    void let_go_of "skbpool_let_go" (PyObject *view, skb_t *skb) noexcept
