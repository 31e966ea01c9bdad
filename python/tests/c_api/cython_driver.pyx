# cython: language_level=3
"""A driver in Cython: receives into memory of its own and names a C function that frees it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from skbpool cimport (
    SKB_COPIED, SKB_COPY_SKB_COPY, SKB_E_FORKED_POOL, SKB_E_NO_HEADROOM, SKB_E_OUT_OF_RANGE,
    SKB_E_RELEASED, SKB_E_SHARED, SKB_HEADER_BYTES, SKB_OK, SKB_POOL_EXHAUSTED, SKB_POOL_GONE,
    SKB_POOL_HIGH_WATERMARK, SKB_POOL_LOW_WATERMARK, SKB_POOL_NO_EVENT, import_skbpool,
    init_zero_copy_buffer, make_zero_copy_skb, skb_any_function, skb_batch_skbs, skb_buffer_data,
    skb_buffer_header, skb_buffer_put, skb_buffer_references, skb_clone, skb_copy_count, skb_data,
    skb_data_mut, skb_from_buffer, skb_from_object, skb_library_get, skb_owner_put, skb_pool,
    skb_pool_alloc, skb_pool_close, skb_pool_copies, skb_pool_events, skb_pool_events_create,
    skb_pool_events_free, skb_pool_events_missed, skb_pool_events_wait, skb_pool_is_low,
    skb_pool_of_object, skb_push, skb_release, skb_slice, skb_t, skb_to_object,
)
from skbpool._skb cimport Skb
from skbpool._skb_batch cimport SkbBatch

from skbpool import Skb as PythonSkb

cdef extern from "stdlib.h" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef extern from "pthread.h" nogil:
    ctypedef struct pthread_t:
        pass
    int pthread_create(
        pthread_t *thread, const void *attributes, void *(*start)(void *) noexcept nogil, void *arg
    )
    int pthread_join(pthread_t thread, void **value)

import_skbpool()

cdef uint64_t freed = 0


cdef void free_memory(skb_buffer_header *header, void *context) noexcept nogil:
    (<uint64_t *>context)[0] += 1
    free(header)


def freed_count():
    """Return how often `free_memory` was called."""
    return freed


def receive(frames):
    """Put all frames into one buffer of the driver's own and return a view of each."""
    cdef void *memory = NULL
    cdef void *owner = NULL
    cdef skb_owner_put owner_put = NULL
    cdef skb_buffer_header *header
    cdef const uint8_t[:] frame
    cdef uint8_t *at
    cdef skb_t skb
    cdef size_t size = SKB_HEADER_BYTES + sum(len(frame) for frame in frames)
    if posix_memalign(&memory, SKB_HEADER_BYTES, size) != 0:
        raise MemoryError
    header = <skb_buffer_header *>memory
    assert skb_library_get(<skb_any_function>free_memory, &owner, &owner_put) == SKB_OK
    assert init_zero_copy_buffer(
        header, size, 0, free_memory, &freed, owner, owner_put) == SKB_OK
    at = skb_buffer_data(header)
    skbs = []
    for data in frames:
        frame = data
        memcpy(at, &frame[0], len(data))
        assert make_zero_copy_skb(&skb, len(data), at, header) == SKB_OK
        at += len(data)
        skbs.append(skb_to_object(&skb))
        assert skb.header == NULL
    skb_buffer_put(&header)
    assert header == NULL
    return skbs


cdef void *release(void *skb) noexcept nogil:
    skb_release(<skb_t *>skb)
    return NULL


def release_on_native_thread(skb):
    """Move the view to a thread that Python knows nothing of, and release it there."""
    cdef skb_t moved
    cdef pthread_t thread
    skb_from_object(&moved, skb)
    with nogil:
        if pthread_create(&thread, NULL, release, &moved) == 0:
            pthread_join(thread, NULL)
    return moved.header == NULL


def sum_of_first_bytes(SkbBatch batch not None):
    """Touch every view of a batch without the interpreter lock."""
    cdef size_t count = 0, position
    cdef uint64_t total = 0
    with nogil:
        skbs = skb_batch_skbs(batch.batch, &count)
        for position in range(count):
            total += skb_data(&skbs[position])[0]
    return total


def push_code(Skb skb not None, count):
    """Return the code of skb_push()."""
    skb.settle_own()
    return skb_push(&skb.skb, count, NULL)


def references_of(Skb skb not None):
    """Return the references to its buffer, those that Python keeps for itself included."""
    return skb_buffer_references(skb.skb.header)


def set_birth(Skb skb not None, tick):
    """Say when it arrived, so that its release is measured."""
    skb.skb.birth = tick


def set_copied(Skb skb not None):
    """Say that it was copied, as a consumer does that copies out."""
    skb.skb.flags |= SKB_COPIED


def first_bytes_of_pool(pool):
    """Allocate from a Python pool in C and give the buffer back."""
    cdef skb_buffer_header *header = NULL
    code = skb_pool_alloc(skb_pool_of_object(pool), &header)
    if code != SKB_OK:
        return code
    skb_buffer_put(&header)
    return SKB_OK


def misused(pool):
    """Misuse a view of a Python pool in every way that has a code, and return what was answered."""
    cdef const skb_pool *own = skb_pool_of_object(pool)
    cdef skb_buffer_header *header = NULL
    cdef skb_t skb, other
    cdef uint8_t *bytes_ = NULL
    answers = []
    if skb_pool_alloc(own, &header) != SKB_OK:
        return answers
    skb_from_buffer(&skb, &header, 0, 100)
    answers.append(skb_slice(&other, &skb, 8, 0xFFFFFFFC) == SKB_E_OUT_OF_RANGE)
    answers.append(skb_push(&skb, 16, &bytes_) == SKB_E_NO_HEADROOM)
    skb_clone(&other, &skb)
    answers.append(skb_data_mut(&skb, &bytes_) == SKB_E_SHARED)
    skb_release(&other)
    skb_release(&skb)
    skb_release(&skb)
    answers.append(skb_clone(&other, &skb) == SKB_E_RELEASED)
    answers.append(skb_pool_close(own) == 0 and skb_pool_close(own) == 0)
    return answers


def emptied(pool):
    """Take all buffers of a Python pool without the interpreter lock, give them back, close it.

    Returns whether it was low in between, the events that this was, and the bytes of `skb_copy`.
    """
    cdef const skb_pool *own = skb_pool_of_object(pool)
    cdef skb_pool_events *events = skb_pool_events_create(own)
    cdef skb_buffer_header *headers[64]
    cdef skb_copy_count copied
    cdef uint32_t event = SKB_POOL_NO_EVENT
    cdef int is_low, count = 0
    told = []
    with nogil:
        while count < 64 and skb_pool_alloc(own, &headers[count]) == SKB_OK:
            count += 1
        is_low = skb_pool_is_low(own)
    while skb_pool_events_wait(events, 0, &event) == SKB_OK and event != SKB_POOL_NO_EVENT:
        told.append(event)
    for at in range(count):
        skb_buffer_put(&headers[at])
    skb_pool_close(own)
    while event != SKB_POOL_GONE:
        with nogil:
            skb_pool_events_wait(events, 60_000_000_000, &event)
        told.append(event)
    assert skb_pool_events_missed(events) == 0
    skb_pool_events_free(&events)
    assert skb_pool_copies(own, SKB_COPY_SKB_COPY, &copied) == SKB_OK
    return is_low == 1, told, copied.bytes


ALL_EVENTS = [
    SKB_POOL_LOW_WATERMARK, SKB_POOL_EXHAUSTED, SKB_POOL_HIGH_WATERMARK, SKB_POOL_GONE,
]
FORKED_POOL = SKB_E_FORKED_POOL
NO_HEADROOM = SKB_E_NO_HEADROOM
IS_SAME_CLASS = PythonSkb is Skb
