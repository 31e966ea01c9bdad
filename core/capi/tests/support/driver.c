/* A driver in a shared library: receives into its own memory, names its own free function. */
#include "skbpool.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFERS = 4, VIEWS = 3, MEMORY = 4096 };

struct freed {
    uint64_t calls;
    uint64_t intact;
};

static struct freed *freed;
static char canary[16];

static void free_buffer(skb_buffer_header *header, void *context)
{
    __atomic_fetch_add(&freed->calls, 1, __ATOMIC_RELAXED);
    if (strcmp(canary, "driver") == 0 && context == (void *)header)
        __atomic_fetch_add(&freed->intact, 1, __ATOMIC_RELAXED);
    free(header);
}

int driver_attach(const struct skbpool_api *api, struct freed *counters);
int driver_receive(skb_t *skbs, uint8_t seed);

int driver_attach(const struct skbpool_api *api, struct freed *counters)
{
    freed = counters;
    strcpy(canary, "driver");
    return skbpool_use(api);
}

/* Fills `skbs` with views of fresh buffers: view n has 60 + n bytes of the value seed + n. */
int driver_receive(skb_t *skbs, uint8_t seed)
{
    int buffer, view, code;
    for (buffer = 0; buffer < BUFFERS; buffer++) {
        void *memory, *owner;
        skb_owner_put put;
        skb_buffer_header *header;
        uint8_t *data;
        if (posix_memalign(&memory, SKB_HEADER_BYTES, MEMORY) != 0)
            return -1000;
        header = (skb_buffer_header *)memory;
        code = skb_library_get((skb_any_function)free_buffer, &owner, &put);
        if (code == SKB_OK)
            code = init_zero_copy_buffer(header, MEMORY, 0, free_buffer, header, owner, put);
        if (code != SKB_OK)
            return code;
        data = skb_buffer_data(header);
        for (view = 0; view < VIEWS; view++) {
            int number = buffer * VIEWS + view;
            uint32_t size = 60 + (uint32_t)number;
            memset(data, seed + number, size);
            code = make_zero_copy_skb(&skbs[number], size, data, header);
            if (code != SKB_OK)
                return code;
            data += 128;
        }
        skb_buffer_put(&header);
    }
    return SKB_OK;
}
