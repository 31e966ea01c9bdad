/* The table of functions. Included by skbpool.h; entries are appended, never moved or removed. */
#ifndef SKBPOOL_TABLE_H
#define SKBPOOL_TABLE_H

struct skbpool_api {
    uint32_t major; /* SKBPOOL_API_MAJOR of the library */
    uint32_t size;  /* bytes of the library's table */

    const char *(*skb_strerror)(int code);
    size_t (*skb_last_error)(char *text, size_t size);

    int (*init_zero_copy_buffer)(skb_buffer_header *header, size_t size, uint8_t order,
                                 skb_free_function free, void *context,
                                 void *owner, skb_owner_put owner_put);
    int (*adopt_memory)(const void *data, size_t size, int writable,
                        skb_free_function free, void *context,
                        void *owner, skb_owner_put owner_put, skb_buffer_header **out);
    int (*make_zero_copy_skb)(skb_t *out, uint32_t size, const void *data,
                              skb_buffer_header *header);
    int (*skb_from_buffer)(skb_t *out, skb_buffer_header **header, uint32_t start, uint32_t len);
    void (*skb_buffer_put)(skb_buffer_header **header);
    uint8_t *(*skb_buffer_data)(const skb_buffer_header *header);
    uint32_t (*skb_buffer_size)(const skb_buffer_header *header);
    uint8_t (*skb_buffer_order)(const skb_buffer_header *header);
    uint32_t (*skb_buffer_references)(const skb_buffer_header *header);

    int (*skb_buffer_arm)(skb_buffer_header **header, uint32_t views, skb_armed *out);
    int (*skb_armed_cut)(skb_armed *armed, skb_t *out, uint32_t offset, uint32_t len,
                         uint32_t headroom, uint32_t tailroom);
    void (*skb_armed_put)(skb_armed *armed);

    void (*skb_release)(skb_t *skb);
    void (*skb_release_many)(skb_t *skbs, size_t count);
    int (*skb_clone)(skb_t *out, const skb_t *skb);
    int (*skb_slice)(skb_t *out, const skb_t *skb, uint32_t offset, uint32_t len);
    const uint8_t *(*skb_data)(const skb_t *skb);
    uint32_t (*skb_len)(const skb_t *skb);
    uint32_t (*skb_headroom)(const skb_t *skb);
    uint32_t (*skb_tailroom)(const skb_t *skb);
    uint32_t (*skb_truesize)(const skb_t *skb);
    int (*skb_is_shared)(const skb_t *skb);
    int (*skb_is_writable)(const skb_t *skb);
    int (*skb_copy_bits)(const skb_t *skb, uint32_t offset, void *to, uint32_t len);

    int (*skb_data_mut)(skb_t *skb, uint8_t **out);
    int (*skb_push)(skb_t *skb, uint32_t bytes, uint8_t **out);
    int (*skb_put)(skb_t *skb, uint32_t bytes, uint8_t **out);
    int (*skb_pull)(skb_t *skb, uint32_t bytes);
    int (*skb_trim)(skb_t *skb, uint32_t len);
    int (*skb_reserve)(skb_t *skb, uint32_t bytes);

    int (*skb_append_frag)(skb_t *skb, skb_t *other);
    int (*skb_copy)(skb_t *out, const skb_t *skb, const skb_pool *pool);
    int (*skb_unshare)(skb_t *skb, const skb_pool *pool);
    int (*skb_linearize)(skb_t *skb, const skb_pool *pool);
    int (*skb_pull_up)(skb_t *skb, uint32_t bytes, const skb_pool *pool);

    int (*skb_pool_create)(const char *name, uint32_t count, uint8_t order, skb_pool **out);
    int (*skb_pool_alloc)(const skb_pool *pool, skb_buffer_header **out);
    int (*skb_pool_alloc_wait)(const skb_pool *pool, uint64_t timeout_ns, skb_buffer_header **out);
    uint32_t (*skb_pool_close)(const skb_pool *pool);
    void (*skb_pool_put)(skb_pool **pool);

    skb_cache *(*skb_cache_create)(const skb_pool *pool);
    int (*skb_cache_alloc)(skb_cache *cache, skb_buffer_header **out);
    void (*skb_cache_release)(skb_cache *cache, skb_t *skbs, size_t count);
    void (*skb_cache_flush)(skb_cache *cache);
    void (*skb_cache_free)(skb_cache **cache);

    skb_batch *(*skb_batch_create)(void);
    int (*skb_batch_push)(skb_batch *batch, skb_t *skb);
    int (*skb_batch_pop)(skb_batch *batch, skb_t *out);
    void (*skb_batch_append)(skb_batch *batch, skb_batch *other);
    int (*skb_batch_clone)(skb_batch *into, const skb_batch *batch);
    skb_t *(*skb_batch_skbs)(skb_batch *batch, size_t *count);
    void (*skb_batch_release)(skb_batch *batch);
    void (*skb_batch_free)(skb_batch **batch);

    int (*skb_library_get)(skb_any_function function, void **owner, skb_owner_put *owner_put);
    void (*skb_library_put)(void *owner);

    int (*skb_reslice)(skb_t *slot, const skb_t *skb, uint32_t offset, uint32_t len);
    int (*skb_get_flow)(const skb_t *skb, skb_flow *out);
    void (*skb_get_flows)(const skb_t *skbs, size_t count, skb_flow *out);
    size_t (*skb_set_hashes)(skb_t *skbs, size_t count);

    int (*skb_pool_create_with_watermarks)(const char *name, uint32_t count, uint8_t order,
                                           uint32_t low, uint32_t high, skb_pool **out);
    int (*skb_pool_is_low)(const skb_pool *pool);
    skb_pool_events *(*skb_pool_events_create)(const skb_pool *pool);
    int (*skb_pool_events_wait)(skb_pool_events *events, uint64_t timeout_ns, uint32_t *out);
    uint64_t (*skb_pool_events_missed)(const skb_pool_events *events);
    void (*skb_pool_events_free)(skb_pool_events **events);
    int (*skb_pool_copies)(const skb_pool *pool, uint32_t stage, skb_copy_count *out);
};

#endif
