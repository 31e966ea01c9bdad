"""S6: a driver or a pool goes while its buffers are out; its views stay, and so does its code.

The driver in a shared library that is dlclosed is in the tests of the C functions.
"""

import gc
import weakref
from pathlib import Path
from types import ModuleType

import pytest
from skbpool import Pool, PoolClosed, Skb, adopt

pytestmark = pytest.mark.seed


class Driver:
    """Receives into memory of its own and frees it with a method of its own."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def receive(self, frame: bytes) -> Skb:
        return adopt(bytearray(frame), free=self.free).into_skb()

    def free(self, memory: bytearray) -> None:
        self.log.append(f"{len(memory)} bytes freed by the driver's own method")


def test_a_python_driver_lives_as_long_as_its_views() -> None:
    log: list[str] = []
    driver = Driver(log)
    watch = weakref.ref(driver)
    skbs = [driver.receive(b"frame"), driver.receive(b"another")]
    del driver
    gc.collect()
    assert watch() is not None, "views keep the free function's owner"
    assert [bytes(skb) for skb in skbs] == [b"frame", b"another"]
    skbs.pop().release()
    assert watch() is not None
    skbs.pop().release()
    assert watch() is None
    assert len(log) == 2
    print(f"\nS6: driver deleted with 2 views out; both read back; {'; '.join(log)}; driver gone")


def test_a_closed_pool_is_alive_while_views_are_outstanding() -> None:
    pool = Pool(4, name="closing")
    buffers = pool.alloc_bulk(3)
    for number, buffer in enumerate(buffers):
        with memoryview(buffer) as data:
            data[:1] = bytes([number])
    skbs = [buffer.into_skb(0, 1) for buffer in buffers]
    outstanding = pool.close()
    assert (outstanding, pool.stats().state) == (3, "orphaned")
    with pytest.raises(PoolClosed):
        pool.alloc()
    views = [memoryview(skb) for skb in skbs]
    address = skbs[0].address
    del pool, skbs, buffers, buffer
    gc.collect()
    assert [view[0] for view in views] == [0, 1, 2]
    assert any(f"{start:x}-" in line for line, start in maps_holding(address))
    while views:
        views.pop().release()
    assert not list(maps_holding(address)), "the memory went with the last view"
    print(
        f"\nS6: pool closed and deleted with {outstanding} views out at {address:#x}; all "
        "read back; memory unmapped with the last"
    )


def maps_holding(address: int) -> list[tuple[str, int]]:
    """Return the mapping of a pool that holds `address`, as its line and its start."""
    found = []
    with Path("/proc/self/maps").open() as maps:
        for line in maps:
            start, end = (int(number, 16) for number in line.split(maxsplit=1)[0].split("-"))
            if start <= address < end and "memfd:skbpool" in line:
                found.append((line, start))
    return found


def test_a_cython_driver_is_freed_by_its_own_code(cython_driver: ModuleType) -> None:
    before = cython_driver.freed_count()
    skbs = cython_driver.receive([b"first", b"second"])
    views = [memoryview(skb) for skb in skbs]
    del skbs
    assert [view.tobytes() for view in views] == [b"first", b"second"]
    del views
    assert cython_driver.freed_count() == before + 1
    print("\nS6: 2 views of a Cython driver's buffer outlived its own reference; freed once by it")
