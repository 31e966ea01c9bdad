"""What the reasons for a drop mean, in a line each (drop_reason.proto says more)."""

MEANINGS = {
    "no_descriptor": "the card had no posted buffer to write the frame into",
    "pool_empty": "the pool had no free buffer",
    "ring_full": "the consumer's ring had no slot for a view or a copy: it reads too slowly",
    "quota": "the consumer held as much as its quota allows: it reads too slowly",
    "too_large": "the frame was over the limit on frames",
    "malformed": "the frame, or the batch it came in, could not be read",
    "detached": "the frame was queued for a consumer when that left",
    "closed": "the pool or the hub was closed",
    "shared_limit": "the buffer had as many references as it may",
    "evicted": "newer frames took its place in the queue: the consumer drops the oldest",
}
