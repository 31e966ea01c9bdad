"""Chains: one frame in several buffers."""

import pytest
import skbpool
from skbpool import BufferReleased, BufferTooSmall, Nonlinear, Pool, PoolExhausted, Skb


def chain_of(pool: Pool, *parts: bytes) -> Skb:
    skbs = []
    for part in parts:
        buffer = pool.alloc()
        memoryview(buffer)[: len(part)] = part
        skbs.append(buffer.into_skb(0, len(part)))
    first = skbs[0]
    for following in skbs[1:]:
        first.append_frag(following)
        assert following.is_released
    return first


def test_it_reads_as_one(pool: Pool) -> None:
    with chain_of(pool, b"one ", b"two ", b"three") as skb:
        assert skb.is_chain
        assert bytes(skb) == b"one two three"
        assert (len(skb), skb[4], skb[-1]) == (13, ord("t"), ord("e"))
        assert bytes(skb[1:3]) == b"ne"
        assert (skb.tailroom, skb.truesize, pool.stats().in_flight) == (0, 3 * 4096, 3)
        assert ", chain" in repr(skb)


def test_what_needs_one_piece_says_linearize(pool: Pool) -> None:
    with chain_of(pool, b"one ", b"two") as skb:
        for use in (
            lambda: memoryview(skb),
            lambda: skb[2:6],
            lambda: skb.put(1),
        ):
            with pytest.raises(Nonlinear, match="linearize") as caught:
                use()
            assert isinstance(caught.value, BufferError)
        skb.linearize()
        assert not skb.is_chain
        assert memoryview(skb) == b"one two"
        assert pool.stats().in_flight == 1


def test_linearize_needs_a_buffer_that_holds_it(pool: Pool) -> None:
    with chain_of(pool, bytes(4096), b"x") as skb:
        with pytest.raises(BufferTooSmall) as caught:
            skb.linearize()
        assert (caught.value.needed, caught.value.buffer) == (4097, 4096)
        with Pool(1, 1) as large:
            skb.linearize(large)
            assert len(skb) == 4097
            skb.release()


def test_linearize_of_an_empty_pool_changes_nothing() -> None:
    with Pool(2) as pool:
        skb = chain_of(pool, b"one ", b"two")
        with pytest.raises(PoolExhausted):
            skb.linearize()
        assert bytes(skb) == b"one two"
        skb.release()


def test_clones_copies_and_trims(pool: Pool) -> None:
    skb = chain_of(pool, b"one ", b"two ", b"three")
    with skb.clone() as clone, skb.copy() as copy:
        assert bytes(clone) == bytes(copy) == b"one two three"
        assert not copy.is_chain
        clone.pull_up(6)
        assert bytes(clone.slice(0, 6)) == b"one tw"
        skb.trim(2)
        assert (bytes(skb), skb.is_chain) == (b"on", False)
        assert bytes(clone) == b"one two three"
    skb.release()


def test_a_used_view_cannot_follow(pool: Pool) -> None:
    with chain_of(pool, b"one ", b"two") as skb:
        used = skb.clone()
        used.release()
        with pytest.raises(BufferReleased):
            skb.append_frag(used)
        with pytest.raises(BufferReleased):
            used.append_frag(skb)
        assert bytes(skb) == b"one two"


def test_a_free_function_may_touch_the_chain_that_lets_go_of_its_memory() -> None:
    for meddle in ("release", "append", "clone"):
        chain = skbpool.adopt(bytes(100)).into_skb()

        def free(_memory: object, chain: Skb = chain, meddle: str = meddle) -> None:
            if meddle == "release":
                chain.release()
            elif meddle == "append":
                chain.append_frag(skbpool.adopt(b"more").into_skb())
            else:
                chain.clone().release()

        for _ in range(5):
            chain.append_frag(skbpool.adopt(bytes(50), free=free).into_skb())
        chain.trim(10)
        if meddle != "release":
            assert bytes(chain)[:10] == bytes(10)
            chain.release()
