"""What the engine tells of its host and of the process."""

import itertools
from pathlib import Path

from engine_messages import numbered, request
from skbpool import Pool
from skbpool._native import Hub, IngestPort, Subscription, latency_histogram, server_boot_id


def test_the_boot_id_is_the_kernel_s() -> None:
    assert server_boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_latencies_are_counted_from_arrival_to_release() -> None:
    bounds, before, _ = latency_histogram()
    assert len(before) == len(bounds) + 1
    assert all(upper == 2 * lower for lower, upper in itertools.pairwise(bounds))
    hub = Hub(Pool(1024))
    with (
        IngestPort(hub, "in") as port,
        Subscription(hub, "out", quota=100, max_message_bytes=1 << 20) as subscription,
    ):
        port.submit(request(numbered([60] * 50)))
        subscription.next_message()
    _, after, total = latency_histogram()
    assert after[-1] - before[-1] == 50
    assert sorted(after) == after
    assert total > 0
