"""S2: a view of data already received, without copying; on failure the caller still owns it."""

import ctypes

import pytest
from skbpool import OutOfRange, Pool, adopt

pytestmark = pytest.mark.seed


def test_views_lie_where_the_data_was_received() -> None:
    message = bytearray(b"first frame|second frame")
    base = ctypes.addressof(ctypes.c_char.from_buffer(message))
    with adopt(message).arm(2) as armed:
        first, second = armed.skb(0, 11), armed.skb(12, 12)
    assert (first.address, second.address) == (base, base + 12)
    assert (bytes(first), bytes(second)) == (b"first frame", b"second frame")
    print(
        f"\nS2: received at {base:#x}; views at {first.address:#x} and {second.address:#x}; "
        "0 bytes copied"
    )
    first.release()
    second.release()


@pytest.mark.parametrize(("offset", "length"), [(4096, 1), (4090, 60), (2**32 - 1, 2**32 - 1)])
def test_failure_changes_nothing(offset: int, length: int) -> None:
    with Pool(2) as pool:
        with pool.alloc() as buffer:
            with memoryview(buffer) as data:
                data[:5] = b"frame"
            before = pool.stats()
            with pytest.raises(OutOfRange):
                buffer.into_skb(offset, offset + length)
            assert pool.stats() == before
            assert not buffer.is_released
            assert bytes(buffer)[:5] == b"frame"
        print(f"\nS2: {length} bytes at {offset} refused; the caller still owned the buffer")
        assert pool.stats().in_flight == 0
