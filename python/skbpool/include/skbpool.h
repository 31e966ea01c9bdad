/*
 * skbpool: packet buffers with one shared reference count, and views of them. C99 and C++.
 *
 * The functions live in a table, so that a process has one copy of them, and the table comes from a
 * Python process that imported skbpool: there is no libskbpool.so to link against. Each C file that
 * calls them gets the table first: in a Python extension with import_skbpool() (include <Python.h>
 * before this file), in another library of that process from such an extension, which hands it
 * over, with skbpool_use().
 *
 * Functions return 0, or a negative SKB_E_ code; then nothing has changed, and what the caller owned
 * it still owns. None of them blocks unless its name says wait, none unwinds, none needs Python or
 * its lock. A view belongs to one thread at a time; buffers, pools and libraries to any number.
 */
#ifndef SKBPOOL_H
#define SKBPOOL_H

#include <stddef.h>
#include <stdint.h>

/* Another number means that a function changed its meaning; new functions do not change it. */
#define SKBPOOL_API_MAJOR 1

/* Bytes of a header at the head of a buffer, and what its address is a multiple of. */
#define SKB_HEADER_BYTES 64

enum {
    SKB_OK = 0,
    SKB_E_EXHAUSTED = -1,           /* no free buffer */
    SKB_E_CLOSED = -2,              /* the pool is closed */
    SKB_E_RELEASED = -3,            /* the view or buffer was released, moved or armed before */
    SKB_E_OUT_OF_RANGE = -4,        /* bytes outside the buffer or the view's window */
    SKB_E_OVERLAP = -5,             /* the window would begin inside an earlier view's */
    SKB_E_NO_HEADROOM = -6,         /* too few bytes before the data */
    SKB_E_NO_TAILROOM = -7,         /* too few bytes behind the data */
    SKB_E_TOO_SHORT = -8,           /* fewer bytes of data than asked for */
    SKB_E_SHARED = -9,              /* others have references to the buffer */
    SKB_E_READ_ONLY = -10,          /* the memory may not be written */
    SKB_E_NOT_ARMED = -11,          /* the buffer was armed for fewer views */
    SKB_E_TOO_MANY_REFERENCES = -12,/* the reference count is at its limit */
    SKB_E_NONLINEAR = -13,          /* the data is a chain of several views */
    SKB_E_NOT_EMPTY = -14,          /* the view has data already */
    SKB_E_TOO_SMALL = -15,          /* memory too small for a header, buffers for one piece */
    SKB_E_TOO_LARGE = -16,          /* memory too large for one buffer */
    SKB_E_MISALIGNED = -17,         /* memory not on a multiple of SKB_HEADER_BYTES */
    SKB_E_NO_MEMORY = -18,          /* memory for a pool could not be had */
    SKB_E_INVALID = -19,            /* an argument out of range, a name that is no UTF-8, 0 views */
    SKB_E_NO_POOL = -20,            /* a copy needs a pool, and the buffer belongs to none */
    SKB_E_NO_LIBRARY = -21,         /* the address belongs to no loaded library */
    SKB_E_FORKED_POOL = -22         /* the pool belongs to the process that forked this one */
};

/* Reference count, state and free function of a buffer. */
typedef struct skb_buffer_header skb_buffer_header;
/* The fragments of a chain. */
typedef struct skb_fragments skb_fragments;
typedef struct skb_pool skb_pool;
/* A thread's own stack of free buffers; one thread at a time. */
typedef struct skb_cache skb_cache;
/* Many views as one thing; one thread at a time. */
typedef struct skb_batch skb_batch;
/* One watcher of what happens to a pool; one thread at a time. */
typedef struct skb_pool_events skb_pool_events;

/*
 * A view: where its bytes lie in one buffer, and what is known about the packet. It owns one
 * reference to its buffer. It may be moved, by hand or by functions that say so, but not copied:
 * skb_clone() makes another view. The fields before timestamp_ns and those marked so are for reading.
 *
 *     buffer  0 ---- head ---- offset ======== offset + len ---- end ---- size
 *                      headroom       data                tailroom
 */
typedef struct skb_t {
    skb_buffer_header *header; /* NULL: no view; read only */
    skb_fragments *fragments;  /* NULL: no chain; read only */
    uint64_t timestamp_ns;     /* when the frame was received, in ns since the Unix epoch */
    uint32_t head;             /* read only: first byte of the window */
    uint32_t offset;           /* read only: first byte of the data */
    uint32_t len;              /* read only: bytes of data in this buffer, fragments not included */
    uint32_t end;              /* read only: first byte after the window */
    uint32_t original_length;  /* bytes the frame had before it was cut short, if the flag says so */
    uint32_t truesize;         /* read only: bytes its holder is charged for */
    uint32_t hash;             /* flow hash; 0: not computed */
    uint32_t birth;            /* coarse tick of its arrival; 0: not measured */
    uint16_t port;             /* interface the frame came in by */
    uint16_t holder;           /* read only: who answers for it */
    uint16_t link_type;        /* LINKTYPE_ number as in capture files; 1: Ethernet */
    uint16_t flags;            /* SKB_ORIGINAL_LENGTH, SKB_COPIED */
} skb_t;

/* In skb_t.flags: original_length tells; otherwise the frame has as many bytes as it had. */
#define SKB_ORIGINAL_LENGTH ((uint16_t)1)
/* In skb_t.flags: the bytes were copied out of the buffer they arrived in, for their consumer. */
#define SKB_COPIED ((uint16_t)2)

/* The five-tuple of a frame, and where its headers lie. The first 38 bytes are the key of the flow, but
 * for later fragments: they have no ports, so flows between the same hosts share their key. */
typedef struct skb_flow {
    uint8_t source[16];        /* address in network order; IPv4 in the first 4 bytes, then zeros */
    uint8_t destination[16];
    uint16_t source_port;      /* in the machine's order; 0 without SKB_FLOW_PORTS */
    uint16_t destination_port; /* of ICMP, type * 256 + code */
    uint8_t protocol;          /* behind the extension headers of IPv6 */
    uint8_t version;           /* 4 or 6; 0: no flow */
    uint8_t flags;             /* SKB_FLOW_ */
    uint8_t vlan_tags;         /* before the IP header */
    uint16_t network_offset;   /* bytes before the IP header */
    uint16_t transport_offset; /* bytes before the transport header; 0: not in the front of the frame */
    uint32_t hash;             /* the same for both directions, never 0; 0: no flow */
} skb_flow;

/* In skb_flow.flags. */
#define SKB_FLOW_PORTS ((uint8_t)1)        /* the ports are those of TCP, UDP, UDP-Lite, SCTP, DCCP */
#define SKB_FLOW_FRAGMENT ((uint8_t)2)     /* a fragment of a datagram */
#define SKB_FLOW_NO_TRANSPORT ((uint8_t)4) /* the transport header is not there */
#define SKB_FLOW_TRUNCATED ((uint8_t)8)    /* the frame ends before the datagram in it */

/* A buffer armed for a number of views; all zeros: none. Only through a pointer, never copied. */
typedef struct skb_armed {
    uint64_t opaque[3];
} skb_armed;

/* What skb_pool_events_wait() tells. LOW and HIGH alternate. */
enum {
    SKB_POOL_NO_EVENT = 0,       /* the time has passed, or nothing follows GONE */
    SKB_POOL_LOW_WATERMARK = 1,  /* fewer buffers are free than the low watermark says */
    SKB_POOL_EXHAUSTED = 2,      /* an allocation found none, the first since the pool became low */
    SKB_POOL_HIGH_WATERMARK = 3, /* as many are free again as the high watermark says */
    SKB_POOL_ORPHANED = 4,       /* closed while buffers were in flight, which stay valid */
    SKB_POOL_GONE = 5            /* closed or let go of, and every buffer is home; the last event */
};

/* Stages that copy payload, for skb_pool_copies(). */
enum {
    SKB_COPY_LAND = 0,        /* from a message into buffers */
    SKB_COPY_COMPOSE = 1,     /* of a program's frames into the batch of the next message */
    SKB_COPY_ENCODE = 2,      /* from buffers into a message */
    SKB_COPY_SKB_COPY = 3,    /* skb_copy(), skb_unshare(), skb_linearize(), skb_pull_up() */
    SKB_COPY_SMALL_FRAME = 4, /* of small frames into small buffers, while the pool is low */
    SKB_COPY_COPY_OUT = 5     /* into the memory of a consumer that holds too much */
};

/* What one stage copied. */
typedef struct skb_copy_count {
    uint64_t frames;
    uint64_t bytes; /* of those frames: payload, without what a copy rounds up to */
} skb_copy_count;

/*
 * Frees a buffer: called once, by whichever thread lets the last reference go. The header may be read
 * until it returns; one at the head of the memory that is freed, not after that.
 */
typedef void (*skb_free_function)(skb_buffer_header *header, void *context);
/* Lets an owner go: called once, after the free function has returned. Does not unload itself. */
typedef void (*skb_owner_put)(void *owner);
/* Any function, for its address. */
typedef void (*skb_any_function)(void);

#include "skbpool_table.h"

/* The table that the functions of this C file use. */
static const struct skbpool_api *skbpool_table;

/* Uses `table`. SKB_E_INVALID if it is of another major version or lacks functions of this header. */
static inline int skbpool_use(const struct skbpool_api *table)
{
    if (table->major != SKBPOOL_API_MAJOR || table->size < sizeof(struct skbpool_api))
        return SKB_E_INVALID;
    skbpool_table = table;
    return SKB_OK;
}

#include "skbpool_functions.h"
#include "skbpool_events.h"
#include "skbpool_views.h"

#ifdef Py_PYTHON_H
#include "skbpool_python.h"
#endif

#endif
