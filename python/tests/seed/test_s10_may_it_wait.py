"""S10: making a view never waits and never allocates; a buffer can be waited for, or not."""

import threading

import pytest
from skbpool import Pool, PoolExhausted, Skb

pytestmark = pytest.mark.seed


def test_views_are_made_while_no_buffer_is_free() -> None:
    with Pool(1) as pool:
        armed = pool.alloc().arm(8)
        before = pool.stats()
        assert before.free == 0
        skbs: list[Skb] = [armed.skb(64 * number, 60) for number in range(8)]
        skbs += [skb.clone() for skb in skbs] + [skb[:20] for skb in skbs]
        assert pool.stats() == before, "no buffer was asked for"
        for skb in skbs:
            skb.release()
        armed.release()
        print(f"\nS10: {len(skbs)} views made of an exhausted pool; allocations meanwhile 0")


def test_allocation_waits_only_when_told_to() -> None:
    with Pool(1) as pool:
        buffer = pool.alloc()
        with pytest.raises(PoolExhausted):
            pool.alloc()
        looks = pool.stats().alloc_empty
        assert looks == 1
        with pytest.raises(PoolExhausted):
            pool.alloc(timeout=0.01)
        waited = pool.stats().alloc_empty - looks

        def release_when_waited_for() -> None:
            pause = threading.Event()
            seen = pool.stats().alloc_empty
            while pool.stats().alloc_empty < seen + 2:
                pause.wait(0.001)
            buffer.release()

        thread = threading.Thread(target=release_when_waited_for)
        thread.start()
        again = pool.alloc(timeout=30)
        thread.join()
        again.release()
        print(
            f"\nS10: alloc() looked once and raised; alloc(timeout=0.01) looked {waited} times and "
            "raised; alloc(timeout=30) returned once a thread released the buffer"
        )
