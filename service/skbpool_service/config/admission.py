"""What streams reserve of the pool when they are admitted, told before there is a pool.

The core decides: `Pool::cache_capacity`, and `Landing::worst_case` for drivers. What it decides is
repeated here, so that a pool in which nobody has room is refused as a setting.
"""

LEAST_MAGAZINES = 16
"""Magazines that a pool's buffers fill at least, unless each holds one."""

MAGAZINE = 64
"""Most buffers of a magazine; a cache holds four."""

BURST_BUFFERS = 32
"""Most buffers that wait for delivery."""


def cache(buffers: int) -> int:
    """Return what a stream reserves for its cache in a pool of so many buffers."""
    return 4 * min(max(buffers // LEAST_MAGAZINES, 1), MAGAZINE)


def driver(buffers: int, buffer_bytes: int, max_frame_bytes: int) -> int:
    """Return what an Ingest stream reserves: its cache, and a burst or the largest frame."""
    burst = min(cache(buffers) // 4, BURST_BUFFERS)
    return cache(buffers) + max(burst, -(-max_frame_bytes // buffer_bytes))


def consumer(buffers: int, quota: int) -> int:
    """Return what a subscriber or stamp reader reserves: its cache and its quota."""
    return cache(buffers) + quota


def pair(buffers: int, buffer_bytes: int, max_frame_bytes: int, quota: int) -> int:
    """Return what a driver and a consumer reserve beside each other."""
    return driver(buffers, buffer_bytes, max_frame_bytes) + consumer(buffers, quota)


def least_buffers(buffer_bytes: int, max_frame_bytes: int) -> int:
    """Return from how many buffers on a pool has room for a driver and a consumer, quota 1."""
    # Caches and bursts of the largest pools: from there on nothing grows.
    least = pair(LEAST_MAGAZINES * MAGAZINE, buffer_bytes, max_frame_bytes, quota=1)
    while pair(least - 1, buffer_bytes, max_frame_bytes, quota=1) <= least - 1:
        least -= 1
    return least
