"""LeaseTable: what Python adds to the table in Rust, which has tests of its own."""

import threading
from collections.abc import Iterator

import pytest
import skbpool
from skbpool import Pool
from skbpool._native import Hub, LeasePort, LeaseTable


@pytest.fixture
def table() -> Iterator[LeaseTable]:
    table = LeaseTable("tester", first_generation=7, max_handles=64)
    yield table
    table.close()


def view(buffer: int, offset: int, length: int) -> tuple[int, int, int, int, int, int, int]:
    return (buffer, offset, length, 0, 5, 1, 0)


def test_verbs_in_their_order(table: LeaseTable) -> None:
    pool = Pool(16)
    one, two = table.allocate(pool, 2)
    assert (one, two) == (7 << 32, 7 << 32 | 1)
    table.write([(one, 2, b"hello"), (two, 0, b"")])
    assert table.read([(one, 0, 8), (one, 4090, None), (two, 0, 1)], 100) == [
        b"\0\0hello\0",
        bytes(6),
        b"\0",
    ]
    (skb,) = table.make_skb([view(one, 2, 5)])
    clone, part = table.clone([skb]) + table.slice([(skb, 1, 3)])
    assert table.read([(clone, 0, None), (part, 0, None)], 100) == [b"hello", b"ell"]
    holds = table.holds()
    assert (holds["count"], holds["bytes"], table.holds_of(pool)) == (4, 4 * 4096, (4, 4 * 4096))
    with LeasePort(Hub(pool), "port") as port:
        assert table.deliver(port, [skb, part])["unclaimed"] == 2
    table.release([clone, two])
    assert (pool.stats().in_flight, pool.stats().reserved) == (0, 0)
    assert (table.holds()["count"], table.holds()["peak_count"]) == (0, 4)


def test_large_ranges_are_copied_beside_other_threads(table: LeaseTable) -> None:
    pool = Pool(8, order=6)
    buffers = table.allocate(pool, 4)
    data = [bytes([number]) * 262_144 for number in range(4)]
    table.write([(buffer, 0, part) for buffer, part in zip(buffers, data, strict=True)])
    found: list[bytes] = []

    def read() -> None:
        found.extend(table.read([(buffer, 0, None) for buffer in buffers], 1 << 20))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(data * 4)
    with pytest.raises(skbpool.FrameTooLarge) as caught:
        table.read([(buffers[0], 0, None)], 262_143)
    assert (caught.value.length, caught.value.limit) == (262_144, 262_143)


def test_refusals_name_the_handle(table: LeaseTable) -> None:
    pool = Pool(16)
    (buffer,) = table.allocate(pool, 1)
    with pytest.raises(skbpool.UnknownHandle) as unknown:
        table.release([buffer, 99])
    assert unknown.value.handle == 99
    with pytest.raises(skbpool.WrongHandle, match="named twice") as twice:
        table.release([buffer, buffer])
    assert twice.value.handle == buffer
    with pytest.raises(skbpool.WrongHandle, match="make skbs of it first"):
        table.clone([buffer])
    with pytest.raises(skbpool.OutOfRange) as outside:
        table.read([(buffer, 4096, 1)], 10)
    assert (outside.value.start, outside.value.end, outside.value.size) == (4096, 4097, 4096)
    with pytest.raises(skbpool.Overlap):
        table.make_skb([view(buffer, 0, 2), view(buffer, 1, 2)])
    with pytest.raises(skbpool.BadView):
        table.make_skb([(buffer, 0, 10, 9, 0, 1, 0)])
    with pytest.raises(skbpool.PoolTooSmall):
        table.allocate(pool, 16)
    with pytest.raises(skbpool.TooManyHandles) as many:
        table.allocate(pool, 64)
    assert (many.value.held, many.value.more, many.value.limit) == (1, 64, 64)
    assert table.holds()["count"] == 1


def test_a_closed_table_holds_nothing_and_does_nothing(table: LeaseTable) -> None:
    pool = Pool(16)
    (buffer,) = table.allocate(pool, 1)
    table.close()
    table.close()
    assert pool.stats().in_flight == 0
    assert table.holds()["count"] == 1  # as it was at the end
    for verb in (
        lambda: table.release([buffer]),
        lambda: table.allocate(pool, 1),
        lambda: table.holds_of(pool),
    ):
        with pytest.raises(skbpool.Closed):
            verb()
    assert not [holder for holder in skbpool.holders() if holder.name == "tester"]
