"""S1: the header stands at the head of the caller's memory, with its free function and order."""

import ctypes
import mmap

import pytest
from skbpool import BadMemory, init_zero_copy_buffer

pytestmark = pytest.mark.seed


def test_the_header_lies_at_the_head_of_the_callers_memory() -> None:
    memory = mmap.mmap(-1, 16384)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    freed: list[mmap.mmap] = []
    assert memory[:64] == bytes(64)

    buffer = init_zero_copy_buffer(memory, free=freed.append, order=2)
    assert buffer.address == base + 64
    assert (len(buffer), buffer.order) == (16384 - 64, 2)
    assert int.from_bytes(memory[:4], "little") == 1, "the count is in the caller's memory"
    with memoryview(buffer) as data:
        data[:5] = b"frame"
    assert memory[64:69] == b"frame"
    skb = buffer.into_skb(0, 5)
    clone = skb.clone()
    assert int.from_bytes(memory[:4], "little") == 2
    skb.release()
    assert freed == []
    clone.release()
    assert freed == [memory]
    print(
        f"\nS1: memory at {base:#x}, header in its first 64 bytes, buffer of order 2 at "
        f"{base + 64:#x}; count seen there 1, with two views 2; freed by the caller's own function "
        f"{len(freed)} time"
    )


def test_memory_without_room_for_a_header_stays_the_callers() -> None:
    memory = bytearray(63)
    freed: list[bytearray] = []
    with pytest.raises(BadMemory) as caught:
        init_zero_copy_buffer(memory, free=freed.append)
    memory.append(0)
    assert freed == []
    print(f"\nS1: 63 bytes refused ({caught.value}); free function called 0 times")
