/* DPDK's figures for the operations of skbpool-bench, as JSON lines of the same shape.
 *
 * dpdk [EAL options] -- SECONDS
 *
 * Reads names of operations from standard input, one a line. Every operation does what the one of the same name in bench/core does. Time is the processor time of
 * the measuring thread, as there.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#define BULK 32
#define BUFFERS 32767 /* 2^n - 1, as the manual advises; 16,384 are held at most */
#define CACHE 256
#define FRAME_ROOM (2048 + RTE_PKTMBUF_HEADROOM)
#define RING_SLOTS 1024
#define STRIDE 2000
#define VIEW 1500
#define MEMORY 65536
#define BETWEEN_LOOKS (1 << 18) /* operations between two looks at the clock */
#define SKB_BYTES 64

static struct rte_mempool *frames; /* mbufs with room for a frame */
static struct rte_mempool *heads;  /* mbufs without memory of their own */
static struct rte_mempool *bare;   /* as frames, without caches */
static struct rte_mbuf *source;
static struct rte_ring *handles, *values;
static char *memory[BULK];
static uint64_t freed;
static struct rte_mbuf *held[16384];

static uint64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "dpdk: %s\n", what);
    exit(1);
}

static void count_free(void *address, void *opaque)
{
    (void)address;
    (void)opaque;
    freed++;
}

static inline void alloc_free_1(void)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(frames);
    if (unlikely(mbuf == NULL))
        die("no mbuf");
    rte_pktmbuf_free(mbuf);
}

static inline void hold(unsigned int count)
{
    for (unsigned int at = 0; at < count; at += BULK)
        if (unlikely(rte_pktmbuf_alloc_bulk(frames, held + at, BULK) != 0))
            die("no mbufs");
    for (unsigned int at = 0; at < count; at += BULK)
        rte_pktmbuf_free_bulk(held + at, BULK);
}

static inline void alloc_free_bulk32(void) { hold(BULK); }
static inline void alloc_free_held_1024(void) { hold(1024); }
static inline void alloc_free_held_16384(void) { hold(16384); }

static inline void clone_free_1(void)
{
    struct rte_mbuf *clone = rte_pktmbuf_clone(source, heads);
    if (unlikely(clone == NULL))
        die("no clone");
    rte_pktmbuf_free(clone);
}

static inline void object_get_put_bulk32(void)
{
    void *objects[BULK];
    if (unlikely(rte_mempool_get_bulk(frames, objects, BULK) != 0))
        die("no objects");
    rte_mempool_put_bulk(frames, objects, BULK);
}

static inline void buffer_1(void)
{
    void *object;
    if (unlikely(rte_mempool_get(frames, &object) != 0))
        die("no object");
    rte_mempool_put(frames, object);
}

static inline void alloc_free_uncached_1(void)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(bare);
    if (unlikely(mbuf == NULL))
        die("no mbuf");
    rte_pktmbuf_free(mbuf);
}

/* Makes one view of `base` in each of `views`, `step` apart, with its count and free function at the
 * end of the memory. */
static inline void cut(char *base, struct rte_mbuf **views, unsigned int step)
{
    uint16_t room = MEMORY - 1;
    struct rte_mbuf_ext_shared_info *shared =
        rte_pktmbuf_ext_shinfo_init_helper(base, &room, count_free, NULL);
    if (unlikely(shared == NULL))
        die("no room for the count");
    rte_mbuf_ext_refcnt_set(shared, BULK);
    for (unsigned int number = 0; number < BULK; number++) {
        struct rte_mbuf *view = views[number * step];
        rte_pktmbuf_attach_extbuf(view, base + number * STRIDE, 0, STRIDE, shared);
        view->data_len = VIEW;
        view->pkt_len = VIEW;
    }
}

static inline void views_of_one_buffer_32(void)
{
    struct rte_mbuf *views[BULK];
    if (unlikely(rte_pktmbuf_alloc_bulk(heads, views, BULK) != 0))
        die("no mbufs");
    cut(memory[0], views, 1);
    rte_pktmbuf_free_bulk(views, BULK);
}

static inline void views_released_singly_32(void)
{
    struct rte_mbuf *views[BULK];
    if (unlikely(rte_pktmbuf_alloc_bulk(heads, views, BULK) != 0))
        die("no mbufs");
    cut(memory[0], views, 1);
    for (unsigned int number = 0; number < BULK; number++)
        rte_pktmbuf_free(views[number]);
}

static inline void views_interleaved_32(void)
{
    static struct rte_mbuf *views[BULK * BULK];
    if (unlikely(rte_pktmbuf_alloc_bulk(heads, views, BULK * BULK) != 0))
        die("no mbufs");
    for (unsigned int number = 0; number < BULK; number++)
        cut(memory[number], views + number, BULK);
    for (unsigned int number = 0; number < BULK; number++)
        rte_pktmbuf_free_bulk(views + number * BULK, BULK);
}

static inline void ring_spsc_bulk32(void)
{
    static void *objects[BULK];
    if (unlikely(rte_ring_sp_enqueue_bulk(handles, objects, BULK, NULL) != BULK))
        die("the ring is full");
    if (unlikely(rte_ring_sc_dequeue_bulk(handles, objects, BULK, NULL) != BULK))
        die("the ring is empty");
}

static inline void ring_skb_bulk32(void)
{
    static char objects[BULK][SKB_BYTES];
    if (unlikely(rte_ring_sp_enqueue_bulk_elem(values, objects, SKB_BYTES, BULK, NULL) != BULK))
        die("the ring is full");
    if (unlikely(rte_ring_sc_dequeue_bulk_elem(values, objects, SKB_BYTES, BULK, NULL) != BULK))
        die("the ring is empty");
}

/* A loop of its own for each operation, so that it is inlined there. */
#define OPERATION(name, per)                                                         \
    static double measure_##name(uint64_t length_ns)                                 \
    {                                                                                \
        uint64_t calls = BETWEEN_LOOKS / (per), done = 0, took;                      \
        uint64_t start = thread_ns();                                                \
        do {                                                                         \
            for (uint64_t call = 0; call < calls; call++)                            \
                name();                                                              \
            done += calls * (per);                                                   \
            took = thread_ns() - start;                                              \
        } while (took < length_ns);                                                  \
        return (double)took / (double)done;                                          \
    }
#define OPERATIONS(X)                                                                \
    X(alloc_free_1, 1)                                                               \
    X(alloc_free_bulk32, BULK)                                                       \
    X(alloc_free_held_1024, 1024)                                                    \
    X(alloc_free_held_16384, 16384)                                                  \
    X(views_of_one_buffer_32, BULK)                                                  \
    X(views_released_singly_32, BULK)                                                \
    X(views_interleaved_32, BULK * BULK)                                             \
    X(clone_free_1, 1)                                                               \
    X(object_get_put_bulk32, BULK)                                                   \
    X(buffer_1, 1)                                                                   \
    X(alloc_free_uncached_1, 1)                                                      \
    X(ring_spsc_bulk32, BULK)                                                        \
    X(ring_skb_bulk32, BULK)
OPERATIONS(OPERATION)

static const struct operation {
    const char *name;
    double (*measure)(uint64_t length_ns);
} operations[] = {
#define ENTRY(name, per) {#name, measure_##name},
    OPERATIONS(ENTRY)
};

static void set_up(void)
{
    frames = rte_pktmbuf_pool_create("frames", BUFFERS, CACHE, 0, FRAME_ROOM, SOCKET_ID_ANY);
    heads = rte_pktmbuf_pool_create("heads", BUFFERS, CACHE, 0, 0, SOCKET_ID_ANY);
    bare = rte_pktmbuf_pool_create("bare", BUFFERS, 0, 0, FRAME_ROOM, SOCKET_ID_ANY);
    handles = rte_ring_create("handles", RING_SLOTS, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    values = rte_ring_create_elem("values", SKB_BYTES, RING_SLOTS, SOCKET_ID_ANY,
                                  RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (frames == NULL || heads == NULL || bare == NULL || handles == NULL || values == NULL)
        die("no memory for pools and rings");
    for (unsigned int number = 0; number < BULK; number++) {
        memory[number] = rte_zmalloc(NULL, MEMORY, RTE_CACHE_LINE_SIZE);
        if (memory[number] == NULL)
            die("no memory to attach");
    }
    source = rte_pktmbuf_alloc(frames);
    if (source == NULL || rte_pktmbuf_append(source, VIEW) == NULL)
        die("no mbuf to clone");
}

int main(int argc, char **argv)
{
    char name[64];
    int used = rte_eal_init(argc, argv);
    if (used < 0 || argc - used != 2)
        die("usage: dpdk [EAL options] -- SECONDS");
    double length_ns = atof(argv[used + 1]) * 1e9;
    set_up();
    while (fgets(name, sizeof(name), stdin) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        size_t op = 0;
        while (op < RTE_DIM(operations) && strcmp(operations[op].name, name) != 0)
            op++;
        if (op == RTE_DIM(operations))
            die("no such operation");
        operations[op].measure((uint64_t)(length_ns / 10));
        double ns = operations[op].measure((uint64_t)length_ns);
        printf("{\"op\":\"%s\",\"value\":%.4f,\"unit\":\"ns\"}\n", name, ns);
        fflush(stdout);
    }
    return 0;
}
