/* Code in C that watches a pool of its own; each function answers 0, or the line that went wrong. */
#include "skbpool.h"

#define CHECK(truth) \
    do { \
        if (!(truth)) \
            return __LINE__; \
    } while (0)

enum { BUFFERS = 16, LOW = 4, HIGH = 8 };

int watch(const struct skbpool_api *api);

int watch(const struct skbpool_api *api)
{
    skb_buffer_header *held[BUFFERS];
    skb_pool *pool;
    skb_pool_events *events;
    skb_copy_count before, after;
    skb_t skb, copy;
    uint32_t event;
    int at;

    CHECK(skbpool_use(api) == SKB_OK);
    CHECK(skb_pool_create_with_watermarks("c", BUFFERS, 0, HIGH, LOW, &pool) == SKB_E_INVALID);
    CHECK(skb_pool_create_with_watermarks("c", BUFFERS, 0, LOW, HIGH, &pool) == SKB_OK);
    events = skb_pool_events_create(pool);

    CHECK(skb_pool_copies(pool, SKB_COPY_COPY_OUT + 1, &before) == SKB_E_INVALID);
    CHECK(skb_pool_copies(pool, SKB_COPY_SKB_COPY, &before) == SKB_OK);
    CHECK(skb_pool_alloc(pool, &held[0]) == SKB_OK);
    CHECK(skb_from_buffer(&skb, &held[0], 0, 60) == SKB_OK);
    CHECK(skb_copy(&copy, &skb, NULL) == SKB_OK);
    CHECK(skb_pool_copies(pool, SKB_COPY_SKB_COPY, &after) == SKB_OK);
    CHECK(after.bytes - before.bytes == 60 && after.frames - before.frames == 1);
    skb_release(&skb);
    skb_release(&copy);

    for (at = 0; at < BUFFERS; at++)
        CHECK(skb_pool_alloc(pool, &held[at]) == SKB_OK);
    CHECK(skb_pool_is_low(pool));
    CHECK(skb_pool_events_wait(events, UINT64_MAX, &event) == SKB_OK);
    CHECK(event == SKB_POOL_LOW_WATERMARK);
    CHECK(skb_pool_events_wait(events, 1000000, &event) == SKB_OK && event == SKB_POOL_NO_EVENT);
    for (at = 0; at < BUFFERS; at++)
        skb_buffer_put(&held[at]);
    CHECK(!skb_pool_is_low(pool));
    skb_pool_close(pool);
    skb_pool_put(&pool);
    CHECK(skb_pool_events_wait(events, UINT64_MAX, &event) == SKB_OK);
    CHECK(event == SKB_POOL_HIGH_WATERMARK);
    CHECK(skb_pool_events_wait(events, UINT64_MAX, &event) == SKB_OK && event == SKB_POOL_GONE);
    CHECK(skb_pool_events_wait(events, UINT64_MAX, &event) == SKB_OK && event == SKB_POOL_NO_EVENT);
    CHECK(skb_pool_events_missed(events) == 0);
    skb_pool_events_free(&events);
    CHECK(events == NULL);
    return 0;
}
