"""S8: code that wants bytes before the data finds headroom or a typed error, never a neighbour."""

import mmap

import pytest
from skbpool import NoHeadroom, Pool, init_zero_copy_buffer

pytestmark = pytest.mark.seed


def test_without_headroom_push_touches_neither_header_nor_neighbour() -> None:
    memory = mmap.mmap(-1, 4096)
    buffer = init_zero_copy_buffer(memory)
    with memoryview(buffer) as data:
        data[:120] = b"a" * 60 + b"b" * 60
    with buffer.arm(2) as armed:
        first, second = armed.skb(0, 60), armed.skb(60, 60)
    before = memory[:]
    for skb, neighbour in ((first, "header"), (second, "neighbour")):
        with pytest.raises(NoHeadroom) as caught:
            skb.push(16)
        assert (caught.value.needed, caught.value.have) == (16, 0)
        assert memory[:] == before
        print(f"\nS8: push(16) refused ({caught.value}); {neighbour} untouched")
    first.release()
    # The neighbour is gone, but its bytes are still not the second view's.
    with pytest.raises(NoHeadroom):
        second.push(1)
    assert bytes(second) == b"b" * 60
    second.release()


def test_with_headroom_the_bytes_are_there() -> None:
    with Pool(2) as pool:
        with memoryview(buffer := pool.alloc()) as data:
            data[64:124] = b"a" * 60
        with buffer.arm(1) as armed, armed.skb(64, 60, headroom=16) as skb:
            skb.push(16)[:] = b"h" * 16
            assert bytes(skb) == b"h" * 16 + b"a" * 60
            with pytest.raises(NoHeadroom):
                skb.push(1)
            print(f"\nS8: with headroom=16, push(16) succeeded; {skb.headroom} bytes left")
