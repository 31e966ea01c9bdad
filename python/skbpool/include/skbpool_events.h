/* Watermarks and events of pools, and what was copied: the table's functions by their names. Included
 * by skbpool.h. */
#ifndef SKBPOOL_EVENTS_H
#define SKBPOOL_EVENTS_H

/*
 * As skb_pool_create(), with watermarks in free buffers, those in caches not among them: with fewer than
 * `low` the pool is low, with `high` it has recovered; `low <= high <= count`. Without, a pool has a
 * sixteenth and an eighth of its buffers.
 *
 * Errors: INVALID, NO_MEMORY.
 */
static inline int skb_pool_create_with_watermarks(const char *name, uint32_t count, uint8_t order,
                                                  uint32_t low, uint32_t high, skb_pool **out)
{
    return skbpool_table->skb_pool_create_with_watermarks(name, count, order, low, high, out);
}

/* 1: fewer buffers are free than the low watermark says, and the high one was not reached since. One
 * load; for loops that do otherwise when buffers are scarce. */
static inline int skb_pool_is_low(const skb_pool *pool)
{
    return skbpool_table->skb_pool_is_low(pool);
}

/* A watcher of what happens to the pool from now on; never NULL. Look at skb_pool_is_low() after making
 * it: what began before is not told. It keeps neither the pool nor its memory. */
static inline skb_pool_events *skb_pool_events_create(const skb_pool *pool)
{
    return skbpool_table->skb_pool_events_create(pool);
}

/*
 * Waits up to `timeout_ns` nanoseconds for the next event, and writes its SKB_POOL_ number to `*event`:
 * SKB_POOL_NO_EVENT when the time has passed, and at once after SKB_POOL_GONE. With 0 it never waits; a
 * few loads then. Signals do not end it.
 *
 * Errors: FORKED_POOL.
 */
static inline int skb_pool_events_wait(skb_pool_events *events, uint64_t timeout_ns, uint32_t *event)
{
    return skbpool_table->skb_pool_events_wait(events, timeout_ns, event);
}

/* Events that were skipped because later ones of their kind were there. */
static inline uint64_t skb_pool_events_missed(const skb_pool_events *events)
{
    return skbpool_table->skb_pool_events_missed(events);
}

/* Frees the watcher and nulls `*events`; nothing if that is NULL. */
static inline void skb_pool_events_free(skb_pool_events **events)
{
    skbpool_table->skb_pool_events_free(events);
}

/*
 * What a stage (SKB_COPY_) copied so far of frames of pools with the same accounts: those that a process
 * made from C and Python share them. Adds up the counters of all threads.
 *
 * Errors: INVALID.
 */
static inline int skb_pool_copies(const skb_pool *pool, uint32_t stage, skb_copy_count *out)
{
    return skbpool_table->skb_pool_copies(pool, stage, out);
}

#endif
