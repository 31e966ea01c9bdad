/* Errors, buffers, pools, batches and libraries: the table's functions by their names. Included by
 * skbpool.h. */
#ifndef SKBPOOL_FUNCTIONS_H
#define SKBPOOL_FUNCTIONS_H

/* --- errors ------------------------------------------------------------------------------------ */

/* One line of text for a code; never NULL. */
static inline const char *skb_strerror(int code)
{
    return skbpool_table->skb_strerror(code);
}

/*
 * Copies what the last call that failed on this thread has to say, with its figures, into `text`: at
 * most `size` bytes, a null byte included. Returns the bytes of the whole text; 0: nothing failed.
 */
static inline size_t skb_last_error(char *text, size_t size)
{
    return skbpool_table->skb_last_error(text, size);
}

/* --- buffers ----------------------------------------------------------------------------------- */

/*
 * Writes a header at the head of `size` bytes that the caller owns; the bytes after it are the
 * buffer. Comes before any view. The caller holds the first reference, by this address, until
 * skb_buffer_put(). When the last reference goes, `free(header, context)` is called, then
 * `owner_put(owner)`; either may be NULL. `order` is the caller's, to find the memory's size by.
 *
 * Errors: TOO_SMALL, TOO_LARGE, MISALIGNED.
 */
static inline int init_zero_copy_buffer(skb_buffer_header *header, size_t size, uint8_t order,
                                        skb_free_function free, void *context,
                                        void *owner, skb_owner_put owner_put)
{
    return skbpool_table->init_zero_copy_buffer(header, size, order, free, context, owner,
                                                owner_put);
}

/* As init_zero_copy_buffer(), with a header beside the memory (64 bytes of heap), which is not
 * written, and never will be unless `writable`. Errors: TOO_LARGE. */
static inline int adopt_memory(const void *data, size_t size, int writable,
                               skb_free_function free, void *context,
                               void *owner, skb_owner_put owner_put, skb_buffer_header **out)
{
    return skbpool_table->adopt_memory(data, size, writable, free, context, owner, owner_put, out);
}

/*
 * Makes a view of `size` bytes at `data`, which lie in the buffer and were received already. Copies
 * nothing, never waits, never allocates. Takes one more reference; the caller keeps its own, whether
 * this succeeds or not. The view has no headroom and is charged the whole buffer.
 *
 * Errors: OUT_OF_RANGE, TOO_MANY_REFERENCES.
 */
static inline int make_zero_copy_skb(skb_t *out, uint32_t size, const void *data,
                                     skb_buffer_header *header)
{
    return skbpool_table->make_zero_copy_skb(out, size, data, header);
}

/* Turns the only reference to a buffer into a view of `len` bytes from `start` on, with the rest of
 * the buffer as headroom and tailroom; nulls `*header`. Errors: OUT_OF_RANGE, SHARED, RELEASED. */
static inline int skb_from_buffer(skb_t *out, skb_buffer_header **header, uint32_t start,
                                  uint32_t len)
{
    return skbpool_table->skb_from_buffer(out, header, start, len);
}

/* Gives the caller's reference back and nulls `*header`; nothing if that is NULL. */
static inline void skb_buffer_put(skb_buffer_header **header)
{
    skbpool_table->skb_buffer_put(header);
}

/* First byte; to be written only while nobody has a view of it. */
static inline uint8_t *skb_buffer_data(const skb_buffer_header *header)
{
    return skbpool_table->skb_buffer_data(header);
}

/* Bytes, header not included. */
static inline uint32_t skb_buffer_size(const skb_buffer_header *header)
{
    return skbpool_table->skb_buffer_size(header);
}

static inline uint8_t skb_buffer_order(const skb_buffer_header *header)
{
    return skbpool_table->skb_buffer_order(header);
}

/* References now; other threads may change it at once, unless it is 1 and the caller's own. */
static inline uint32_t skb_buffer_references(const skb_buffer_header *header)
{
    return skbpool_table->skb_buffer_references(header);
}

/* Turns the only reference to a buffer into `views` references, taken by one store; nulls `*header`.
 * Each view is charged its part of the buffer. Errors: SHARED, INVALID (0 views), RELEASED,
 * TOO_MANY_REFERENCES. */
static inline int skb_buffer_arm(skb_buffer_header **header, uint32_t views, skb_armed *out)
{
    return skbpool_table->skb_buffer_arm(header, views, out);
}

/*
 * Cuts one of those views, without an atomic operation: `len` bytes at `offset`, with headroom before
 * and tailroom behind. Views are cut from the front to the back and do not overlap.
 *
 * Errors: OUT_OF_RANGE, OVERLAP, NOT_ARMED, RELEASED.
 */
static inline int skb_armed_cut(skb_armed *armed, skb_t *out, uint32_t offset, uint32_t len,
                                uint32_t headroom, uint32_t tailroom)
{
    return skbpool_table->skb_armed_cut(armed, out, offset, len, headroom, tailroom);
}

/* Gives back the references of the views that were not cut. Harmless when repeated. */
static inline void skb_armed_put(skb_armed *armed)
{
    skbpool_table->skb_armed_put(armed);
}

/* --- pools ------------------------------------------------------------------------------------- */

/* A pool of `count` buffers of `4096 << order` bytes. Errors: INVALID, NO_MEMORY. */
static inline int skb_pool_create(const char *name, uint32_t count, uint8_t order, skb_pool **out)
{
    return skbpool_table->skb_pool_create(name, count, order, out);
}

/* A buffer, to be written, then made views of or put. Errors: EXHAUSTED, CLOSED. */
static inline int skb_pool_alloc(const skb_pool *pool, skb_buffer_header **out)
{
    return skbpool_table->skb_pool_alloc(pool, out);
}

/* As skb_pool_alloc(), waiting for a buffer up to `timeout_ns` nanoseconds. */
static inline int skb_pool_alloc_wait(const skb_pool *pool, uint64_t timeout_ns,
                                      skb_buffer_header **out)
{
    return skbpool_table->skb_pool_alloc_wait(pool, timeout_ns, out);
}

/* Ends allocation; views stay valid. Returns how many buffers are still in flight. */
static inline uint32_t skb_pool_close(const skb_pool *pool)
{
    return skbpool_table->skb_pool_close(pool);
}

/* Gives the handle back and nulls `*pool`. The memory goes when the last view is gone as well. */
static inline void skb_pool_put(skb_pool **pool)
{
    skbpool_table->skb_pool_put(pool);
}

/* A cache for one thread's loop; never NULL. It holds free buffers back until flushed or freed. */
static inline skb_cache *skb_cache_create(const skb_pool *pool)
{
    return skbpool_table->skb_cache_create(pool);
}

/* As skb_pool_alloc(), without an atomic read-modify-write. */
static inline int skb_cache_alloc(skb_cache *cache, skb_buffer_header **out)
{
    return skbpool_table->skb_cache_alloc(cache, out);
}

/* Releases `count` views and nulls their headers: one atomic operation for each run of views of one
 * buffer, none if the run holds all its references. Views of brought memory go last, so their free
 * functions find all `count` headers null, and may use the cache and free it. */
static inline void skb_cache_release(skb_cache *cache, skb_t *skbs, size_t count)
{
    skbpool_table->skb_cache_release(cache, skbs, count);
}

static inline void skb_cache_flush(skb_cache *cache)
{
    skbpool_table->skb_cache_flush(cache);
}

/* Flushes and frees the cache and nulls `*cache`. */
static inline void skb_cache_free(skb_cache **cache)
{
    skbpool_table->skb_cache_free(cache);
}

/* --- batches ----------------------------------------------------------------------------------- */

/* An empty batch; never NULL. */
static inline skb_batch *skb_batch_create(void)
{
    return skbpool_table->skb_batch_create();
}

/* Moves the view to the end of the batch. Errors: RELEASED. */
static inline int skb_batch_push(skb_batch *batch, skb_t *skb)
{
    return skbpool_table->skb_batch_push(batch, skb);
}

/* Moves the last view out. Errors: RELEASED if there is none. */
static inline int skb_batch_pop(skb_batch *batch, skb_t *out)
{
    return skbpool_table->skb_batch_pop(batch, out);
}

/* Moves all of `other` to the end. */
static inline void skb_batch_append(skb_batch *batch, skb_batch *other)
{
    skbpool_table->skb_batch_append(batch, other);
}

/* Appends to `into` another view of everything in `batch`: one atomic addition for each run of views
 * of one buffer. Errors: TOO_MANY_REFERENCES. */
static inline int skb_batch_clone(skb_batch *into, const skb_batch *batch)
{
    return skbpool_table->skb_batch_clone(into, batch);
}

/* The views in order; valid until the batch is changed. None of them may be taken or released. */
static inline skb_t *skb_batch_skbs(skb_batch *batch, size_t *count)
{
    return skbpool_table->skb_batch_skbs(batch, count);
}

/* Releases all views, by one atomic operation for each run of views of one buffer; the batch is empty
 * afterwards. */
static inline void skb_batch_release(skb_batch *batch)
{
    skbpool_table->skb_batch_release(batch);
}

static inline void skb_batch_free(skb_batch **batch)
{
    skbpool_table->skb_batch_free(batch);
}

/* --- libraries --------------------------------------------------------------------------------- */

/*
 * An owner that keeps the shared library mapped in which `function` lies: a driver names it beside its
 * free function, and may be unloaded while its buffers are out. Both are NULL for the program itself.
 *
 * Errors: NO_LIBRARY.
 */
static inline int skb_library_get(skb_any_function function, void **owner,
                                  skb_owner_put *owner_put)
{
    return skbpool_table->skb_library_get(function, owner, owner_put);
}

/* The owner_put of those owners. */
static inline void skb_library_put(void *owner)
{
    skbpool_table->skb_library_put(owner);
}

#endif
