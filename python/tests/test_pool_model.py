"""Random sequences of operations on a pool, against a model that only knows sets and numbers."""

from typing import Any

import pytest
import skbpool
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from skbpool import Buffer, Pool, PoolExhausted, Skb, SkbBatch

BUFFERS = 6


class PoolModel(RuleBasedStateMachine):
    """Each buffer of the model is a number; `held[number]` counts the references to it."""

    buffers: Bundle[tuple[int, Buffer]] = Bundle("buffers")
    views: Bundle[tuple[int, Skb]] = Bundle("views")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(BUFFERS)
        self.held: dict[int, int] = {}
        self.batch = SkbBatch()
        self.in_batch: list[int] = []
        with self.pool.alloc() as buffer:
            assert buffer.index is not None
            self.base = buffer.address - 4096 * buffer.index

    def let_go(self, number: int) -> None:
        self.held[number] -= 1
        if not self.held[number]:
            del self.held[number]

    @rule(target=buffers)
    def alloc(self) -> Any:
        if len(self.held) == BUFFERS:
            with pytest.raises(PoolExhausted):
                self.pool.alloc()
            return multiple()
        buffer = self.pool.alloc()
        assert buffer.index is not None
        assert buffer.index not in self.held, "a buffer that is out is not handed out again"
        self.held[buffer.index] = 1
        memoryview(buffer)[0] = buffer.index
        return buffer.index, buffer

    @rule(taken=consumes(buffers))
    def release_buffer(self, taken: tuple[int, Buffer]) -> None:
        number, buffer = taken
        buffer.release()
        buffer.release()
        self.let_go(number)

    @rule(target=views, taken=consumes(buffers))
    def into_skb(self, taken: tuple[int, Buffer]) -> Any:
        number, buffer = taken
        return number, buffer.into_skb(0, 1)

    @rule(target=views, taken=consumes(buffers), views=st.integers(1, 4), cut=st.integers(0, 4))
    def arm(self, taken: tuple[int, Buffer], views: int, cut: int) -> Any:
        number, buffer = taken
        cut = min(views, cut)
        with buffer.arm(views) as armed:
            skbs = [armed.skb(offset, 1) for offset in range(cut)]
        self.held[number] += cut - 1
        if not cut:
            del self.held[number]
        # Views of other bytes than the first would not know their buffer.
        for skb in skbs[1:]:
            skb.release()
            self.held[number] -= 1
        return multiple(*[(number, skb) for skb in skbs[:1]])

    @rule(target=views, view=views)
    def clone(self, view: tuple[int, Skb]) -> Any:
        number, skb = view
        if skb.is_released:
            return multiple()
        self.held[number] += 1
        return number, skb.clone()

    @rule(target=views, view=views)
    def copy(self, view: tuple[int, Skb]) -> Any:
        _, skb = view
        if skb.is_released:
            return multiple()
        if len(self.held) == BUFFERS:
            with pytest.raises(PoolExhausted):
                skb.copy()
            return multiple()
        copy = skb.copy()
        number = (copy.address - self.base) // 4096
        assert number not in self.held, "a copy has a buffer of its own"
        copy.data_mut()[0] = number
        self.held[number] = 1
        return number, copy

    @rule(view=views)
    def read(self, view: tuple[int, Skb]) -> None:
        number, skb = view
        if not skb.is_released:
            assert skb[0] == number
            assert skb.references == self.held[number]
            assert skb.is_shared == (self.held[number] > 1)

    @rule(view=views)
    def release(self, view: tuple[int, Skb]) -> None:
        number, skb = view
        if not skb.is_released:
            self.let_go(number)
        skb.release()

    @rule(view=views)
    def into_batch(self, view: tuple[int, Skb]) -> None:
        number, skb = view
        try:
            self.batch.append(skb)
        except skbpool.BufferReleased:
            assert skb.is_released
        else:
            self.in_batch.append(number)

    @rule(target=views)
    def out_of_batch(self) -> Any:
        if not self.in_batch:
            return multiple()
        return self.in_batch.pop(), self.batch.pop()

    @rule()
    def release_batch(self) -> None:
        self.batch.release()
        while self.in_batch:
            self.let_go(self.in_batch.pop())

    @invariant()
    def every_buffer_is_in_exactly_one_place(self) -> None:
        audit = self.pool.audit()
        assert audit.in_flight == len(self.held)
        assert audit.free + audit.cached + audit.in_flight == BUFFERS
        assert len(self.batch) == len(self.in_batch)
        assert self.pool.stats().violations == 0

    def teardown(self) -> None:
        self.pool.close()


TestPoolModel = PoolModel.TestCase
