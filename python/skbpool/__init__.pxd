# cython: language_level=3
"""The C functions of skbpool for Cython: what skbpool.h declares, documented there.

    from skbpool cimport import_skbpool, make_zero_copy_skb, skb_t
    import_skbpool()  # once, before anything else

Compile with `skbpool.get_include()` among the include directories.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "skbpool.h" nogil:
    const int SKBPOOL_API_MAJOR
    const int SKB_HEADER_BYTES
    const uint16_t SKB_ORIGINAL_LENGTH
    const uint16_t SKB_COPIED
    const uint8_t SKB_FLOW_PORTS
    const uint8_t SKB_FLOW_FRAGMENT
    const uint8_t SKB_FLOW_NO_TRANSPORT
    const uint8_t SKB_FLOW_TRUNCATED

    enum:
        SKB_OK
        SKB_E_EXHAUSTED
        SKB_E_CLOSED
        SKB_E_RELEASED
        SKB_E_OUT_OF_RANGE
        SKB_E_OVERLAP
        SKB_E_NO_HEADROOM
        SKB_E_NO_TAILROOM
        SKB_E_TOO_SHORT
        SKB_E_SHARED
        SKB_E_READ_ONLY
        SKB_E_NOT_ARMED
        SKB_E_TOO_MANY_REFERENCES
        SKB_E_NONLINEAR
        SKB_E_NOT_EMPTY
        SKB_E_TOO_SMALL
        SKB_E_TOO_LARGE
        SKB_E_MISALIGNED
        SKB_E_NO_MEMORY
        SKB_E_INVALID
        SKB_E_NO_POOL
        SKB_E_NO_LIBRARY
        SKB_E_FORKED_POOL

    enum:
        SKB_POOL_NO_EVENT
        SKB_POOL_LOW_WATERMARK
        SKB_POOL_EXHAUSTED
        SKB_POOL_HIGH_WATERMARK
        SKB_POOL_ORPHANED
        SKB_POOL_GONE

    enum:
        SKB_COPY_LAND
        SKB_COPY_COMPOSE
        SKB_COPY_ENCODE
        SKB_COPY_SKB_COPY
        SKB_COPY_SMALL_FRAME
        SKB_COPY_COPY_OUT

    ctypedef struct skb_buffer_header:
        pass
    ctypedef struct skb_fragments:
        pass
    ctypedef struct skb_pool:
        pass
    ctypedef struct skb_cache:
        pass
    ctypedef struct skb_batch:
        pass
    ctypedef struct skb_pool_events:
        pass
    ctypedef struct skb_copy_count:
        uint64_t frames
        uint64_t bytes
    ctypedef struct skb_armed:
        pass
    ctypedef struct skb_t:
        skb_buffer_header *header
        skb_fragments *fragments
        uint64_t timestamp_ns
        uint32_t head
        uint32_t offset
        uint32_t len
        uint32_t end
        uint32_t original_length
        uint32_t truesize
        uint32_t hash
        uint32_t birth
        uint16_t port
        uint16_t holder
        uint16_t link_type
        uint16_t flags

    ctypedef struct skb_flow:
        uint8_t source[16]
        uint8_t destination[16]
        uint16_t source_port
        uint16_t destination_port
        uint8_t protocol
        uint8_t version
        uint8_t flags
        uint8_t vlan_tags
        uint16_t network_offset
        uint16_t transport_offset
        uint32_t hash

    ctypedef void (*skb_free_function)(skb_buffer_header *header, void *context) noexcept nogil
    ctypedef void (*skb_owner_put)(void *owner) noexcept nogil
    ctypedef void (*skb_any_function)() noexcept nogil

    const char *skb_strerror(int code) noexcept
    size_t skb_last_error(char *text, size_t size) noexcept
    int init_zero_copy_buffer(
        skb_buffer_header *header, size_t size, uint8_t order, skb_free_function free,
        void *context, void *owner, skb_owner_put owner_put
    ) noexcept
    int adopt_memory(
        const void *data, size_t size, int writable, skb_free_function free, void *context,
        void *owner, skb_owner_put owner_put, skb_buffer_header **out
    ) noexcept
    int make_zero_copy_skb(
        skb_t *out, uint32_t size, const void *data, skb_buffer_header *header
    ) noexcept
    int skb_from_buffer(
        skb_t *out, skb_buffer_header **header, uint32_t start, uint32_t len
    ) noexcept
    void skb_buffer_put(skb_buffer_header **header) noexcept
    uint8_t *skb_buffer_data(const skb_buffer_header *header) noexcept
    uint32_t skb_buffer_size(const skb_buffer_header *header) noexcept
    uint8_t skb_buffer_order(const skb_buffer_header *header) noexcept
    uint32_t skb_buffer_references(const skb_buffer_header *header) noexcept
    int skb_buffer_arm(skb_buffer_header **header, uint32_t views, skb_armed *out) noexcept
    int skb_armed_cut(
        skb_armed *armed, skb_t *out, uint32_t offset, uint32_t len, uint32_t headroom,
        uint32_t tailroom
    ) noexcept
    void skb_armed_put(skb_armed *armed) noexcept
    void skb_release(skb_t *skb) noexcept
    void skb_release_many(skb_t *skbs, size_t count) noexcept
    int skb_clone(skb_t *out, const skb_t *skb) noexcept
    int skb_slice(skb_t *out, const skb_t *skb, uint32_t offset, uint32_t len) noexcept
    int skb_reslice(skb_t *slot, const skb_t *skb, uint32_t offset, uint32_t len) noexcept
    const uint8_t *skb_data(const skb_t *skb) noexcept
    uint32_t skb_len(const skb_t *skb) noexcept
    uint32_t skb_headroom(const skb_t *skb) noexcept
    uint32_t skb_tailroom(const skb_t *skb) noexcept
    uint32_t skb_truesize(const skb_t *skb) noexcept
    int skb_is_shared(const skb_t *skb) noexcept
    int skb_is_writable(const skb_t *skb) noexcept
    int skb_copy_bits(const skb_t *skb, uint32_t offset, void *to, uint32_t len) noexcept
    int skb_data_mut(skb_t *skb, uint8_t **out) noexcept
    int skb_push(skb_t *skb, uint32_t bytes, uint8_t **out) noexcept
    int skb_put(skb_t *skb, uint32_t bytes, uint8_t **out) noexcept
    int skb_pull(skb_t *skb, uint32_t bytes) noexcept
    int skb_trim(skb_t *skb, uint32_t len) noexcept
    int skb_reserve(skb_t *skb, uint32_t bytes) noexcept
    int skb_get_flow(const skb_t *skb, skb_flow *out) noexcept
    void skb_get_flows(const skb_t *skbs, size_t count, skb_flow *out) noexcept
    size_t skb_set_hashes(skb_t *skbs, size_t count) noexcept
    int skb_append_frag(skb_t *skb, skb_t *other) noexcept
    int skb_copy(skb_t *out, const skb_t *skb, const skb_pool *pool) noexcept
    int skb_unshare(skb_t *skb, const skb_pool *pool) noexcept
    int skb_linearize(skb_t *skb, const skb_pool *pool) noexcept
    int skb_pull_up(skb_t *skb, uint32_t bytes, const skb_pool *pool) noexcept
    int skb_pool_create(const char *name, uint32_t count, uint8_t order, skb_pool **out) noexcept
    int skb_pool_alloc(const skb_pool *pool, skb_buffer_header **out) noexcept
    int skb_pool_alloc_wait(
        const skb_pool *pool, uint64_t timeout_ns, skb_buffer_header **out
    ) noexcept
    uint32_t skb_pool_close(const skb_pool *pool) noexcept
    void skb_pool_put(skb_pool **pool) noexcept
    int skb_pool_create_with_watermarks(
        const char *name, uint32_t count, uint8_t order, uint32_t low, uint32_t high, skb_pool **out
    ) noexcept
    int skb_pool_is_low(const skb_pool *pool) noexcept
    skb_pool_events *skb_pool_events_create(const skb_pool *pool) noexcept
    int skb_pool_events_wait(
        skb_pool_events *events, uint64_t timeout_ns, uint32_t *event
    ) noexcept
    uint64_t skb_pool_events_missed(const skb_pool_events *events) noexcept
    void skb_pool_events_free(skb_pool_events **events) noexcept
    int skb_pool_copies(const skb_pool *pool, uint32_t stage, skb_copy_count *out) noexcept
    skb_cache *skb_cache_create(const skb_pool *pool) noexcept
    int skb_cache_alloc(skb_cache *cache, skb_buffer_header **out) noexcept
    void skb_cache_release(skb_cache *cache, skb_t *skbs, size_t count) noexcept
    void skb_cache_flush(skb_cache *cache) noexcept
    void skb_cache_free(skb_cache **cache) noexcept
    skb_batch *skb_batch_create() noexcept
    int skb_batch_push(skb_batch *batch, skb_t *skb) noexcept
    int skb_batch_pop(skb_batch *batch, skb_t *out) noexcept
    void skb_batch_append(skb_batch *batch, skb_batch *other) noexcept
    int skb_batch_clone(skb_batch *into, const skb_batch *batch) noexcept
    skb_t *skb_batch_skbs(skb_batch *batch, size_t *count) noexcept
    void skb_batch_release(skb_batch *batch) noexcept
    void skb_batch_free(skb_batch **batch) noexcept
    int skb_library_get(skb_any_function function, void **owner, skb_owner_put *owner_put) noexcept
    void skb_library_put(void *owner) noexcept

cdef extern from "skbpool.h":
    const int SKBPOOL_OBJECTS_MAJOR

    int import_skbpool() except -1
    int import_skbpool_core() except -1

    object skb_to_object(skb_t *skb)
    skb_t *skb_of_object(object obj) except NULL
    int skb_from_object(skb_t *out, object obj) except -1
    object skb_batch_to_object(skb_batch **batch)
    skb_batch *skb_batch_of_object(object obj) except NULL
    const skb_pool *skb_pool_of_object(object obj) except NULL

    struct skbpool_objects:
        uint32_t major
        uint32_t size
        object (*skb_to_object)(skb_t *skb)
        skb_t *(*skb_of_object)(object obj) except NULL
        int (*skb_from_object)(skb_t *out, object obj) except -1
        object (*skb_batch_to_object)(skb_batch **batch)
        skb_batch *(*skb_batch_of_object)(object obj) except NULL
        const skb_pool *(*skb_pool_of_object)(object obj) except NULL
        void (*skb_settle)() noexcept
