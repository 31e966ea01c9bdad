/* Views: the table's functions by their names. Included by skbpool.h. */
#ifndef SKBPOOL_VIEWS_H
#define SKBPOOL_VIEWS_H

/* Releases the view and nulls its header; nothing if that is NULL already. */
static inline void skb_release(skb_t *skb)
{
    skbpool_table->skb_release(skb);
}

static inline void skb_release_many(skb_t *skbs, size_t count)
{
    skbpool_table->skb_release_many(skbs, count);
}

/* Another view of the same bytes; both are read-only until one is gone. One atomic addition, a plain
 * store if there was one view. Errors: TOO_MANY_REFERENCES, RELEASED. */
static inline int skb_clone(skb_t *out, const skb_t *skb)
{
    return skbpool_table->skb_clone(out, skb);
}

/* Another view of `len` bytes of the data from `offset` on, without headroom. Errors: OUT_OF_RANGE,
 * NONLINEAR (the bytes reach into a chain's fragments), TOO_MANY_REFERENCES, RELEASED. */
static inline int skb_slice(skb_t *out, const skb_t *skb, uint32_t offset, uint32_t len)
{
    return skbpool_table->skb_slice(out, skb, offset, len);
}

/* Makes of the view in `slot` what skb_slice() makes of `skb`, which is another. If both are of one
 * buffer, the reference in `slot` stays, without an atomic operation, unless it is accounted for or a
 * chain; otherwise it is released. Errors as skb_slice(); RELEASED also if there is no view in `slot`. */
static inline int skb_reslice(skb_t *slot, const skb_t *skb, uint32_t offset, uint32_t len)
{
    return skbpool_table->skb_reslice(slot, skb, offset, len);
}

/* First byte of the data in the view's own buffer; NULL if released. */
static inline const uint8_t *skb_data(const skb_t *skb)
{
    return skbpool_table->skb_data(skb);
}

/* Bytes of data, fragments included; 0 if released. */
static inline uint32_t skb_len(const skb_t *skb)
{
    return skbpool_table->skb_len(skb);
}

static inline uint32_t skb_headroom(const skb_t *skb)
{
    return skbpool_table->skb_headroom(skb);
}

static inline uint32_t skb_tailroom(const skb_t *skb)
{
    return skbpool_table->skb_tailroom(skb);
}

/* Bytes its holder is charged for, fragments included. */
static inline uint32_t skb_truesize(const skb_t *skb)
{
    return skbpool_table->skb_truesize(skb);
}

/* Whether the buffer has other references. */
static inline int skb_is_shared(const skb_t *skb)
{
    return skbpool_table->skb_is_shared(skb);
}

/* Whether skb_data_mut(), skb_push() and skb_put() may write. */
static inline int skb_is_writable(const skb_t *skb)
{
    return skbpool_table->skb_is_writable(skb);
}

/* Copies `len` bytes from `offset` on, across fragments. Errors: OUT_OF_RANGE, RELEASED. */
static inline int skb_copy_bits(const skb_t *skb, uint32_t offset, void *to, uint32_t len)
{
    return skbpool_table->skb_copy_bits(skb, offset, to, len);
}

/* Where the data may be written. Errors: SHARED, READ_ONLY, RELEASED. */
static inline int skb_data_mut(skb_t *skb, uint8_t **out)
{
    return skbpool_table->skb_data_mut(skb, out);
}

/* Grows the data at its front; `*out` (unless NULL) is where the new bytes are, to be written.
 * Errors: NO_HEADROOM, SHARED, READ_ONLY, RELEASED. */
static inline int skb_push(skb_t *skb, uint32_t bytes, uint8_t **out)
{
    return skbpool_table->skb_push(skb, bytes, out);
}

/* Grows the data at its end. Errors: NO_TAILROOM, NONLINEAR, SHARED, READ_ONLY, RELEASED. */
static inline int skb_put(skb_t *skb, uint32_t bytes, uint8_t **out)
{
    return skbpool_table->skb_put(skb, bytes, out);
}

/* Takes bytes away from the front; they become headroom. Errors: TOO_SHORT, RELEASED. */
static inline int skb_pull(skb_t *skb, uint32_t bytes)
{
    return skbpool_table->skb_pull(skb, bytes);
}

/* Cuts the data off after `len` bytes. Errors: TOO_SHORT, RELEASED. */
static inline int skb_trim(skb_t *skb, uint32_t len)
{
    return skbpool_table->skb_trim(skb, len);
}

/* Makes headroom in a view without data. Errors: NOT_EMPTY, NO_TAILROOM, RELEASED. */
static inline int skb_reserve(skb_t *skb, uint32_t bytes)
{
    return skbpool_table->skb_reserve(skb, bytes);
}

/*
 * The flow of a frame: five-tuple, offsets of headers, hash. Read by its link type: Ethernet with up to
 * two VLAN tags, raw IP, BSD loopback, Linux cooked. 1: it has one; 0: it has no IP header, or was
 * released, and `*out` is all zeros. Looks at the first 512 bytes, in whichever parts of a chain they
 * lie, and at nothing outside. No errors.
 */
static inline int skb_get_flow(const skb_t *skb, skb_flow *out)
{
    return skbpool_table->skb_get_flow(skb, out);
}

/* The same for `count` views in a row, none of which is released. */
static inline void skb_get_flows(const skb_t *skbs, size_t count, skb_flow *out)
{
    skbpool_table->skb_get_flows(skbs, count, out);
}

/* Gives each of `count` views in a row whose hash is 0 that of its flow. Returns how many got one. */
static inline size_t skb_set_hashes(skb_t *skbs, size_t count)
{
    return skbpool_table->skb_set_hashes(skbs, count);
}

/* Appends the data of `other`, which is used up, without copying. Errors: OUT_OF_RANGE, RELEASED. */
static inline int skb_append_frag(skb_t *skb, skb_t *other)
{
    return skbpool_table->skb_append_frag(skb, other);
}

/* A copy in buffers of `pool`; NULL: the pool of the view's own buffer. Errors: EXHAUSTED, CLOSED,
 * NO_POOL, RELEASED. */
static inline int skb_copy(skb_t *out, const skb_t *skb, const skb_pool *pool)
{
    return skbpool_table->skb_copy(out, skb, pool);
}

/* Makes this the only view of its bytes, by copying them if it is not. Errors as skb_copy(). */
static inline int skb_unshare(skb_t *skb, const skb_pool *pool)
{
    return skbpool_table->skb_unshare(skb, pool);
}

/* Brings the data of a chain into one buffer. Errors as skb_copy(), and TOO_SMALL. */
static inline int skb_linearize(skb_t *skb, const skb_pool *pool)
{
    return skbpool_table->skb_linearize(skb, pool);
}

/* Makes sure that the first `bytes` bytes lie in one piece. Errors as skb_linearize(), TOO_SHORT. */
static inline int skb_pull_up(skb_t *skb, uint32_t bytes, const skb_pool *pool)
{
    return skbpool_table->skb_pull_up(skb, bytes, pool);
}

#endif
