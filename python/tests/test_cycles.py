"""Cycles through memory that was brought: collected while nobody has a view of it."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from skbpool import (
    Buffer,
    Exported,
    Pool,
    SkbBatch,
    adopt,
    brought,
    init_zero_copy_buffer,
)


class Node:
    """Something that a buffer may belong to, and that may belong to a buffer."""

    buffer: Any


class Memory(bytearray):
    """Memory that can refer to anything."""

    buffer: Any


def by_its_free_function(bring: Callable[..., Buffer], called: list[object]) -> Any:
    node = Node()
    node.buffer = bring(bytearray(256), free=lambda memory, node=node: called.append(len(memory)))
    return node


def by_its_memory(bring: Callable[..., Buffer], called: list[object]) -> Any:
    memory = Memory(256)
    memory.buffer = bring(memory, free=lambda memory: called.append(len(memory)))
    return memory


CYCLES = [by_its_free_function, by_its_memory]


@pytest.mark.parametrize("bring", [adopt, init_zero_copy_buffer])
@pytest.mark.parametrize("cycle", CYCLES)
def test_a_cycle_through_an_unused_buffer_is_collected(
    bring: Callable[..., Buffer], cycle: Callable[..., Any]
) -> None:
    called: list[object] = []
    before = brought()
    watch = weakref.ref(cycle(bring, called))
    gc.collect()
    after = brought()
    assert watch() is None
    assert called == [256]
    assert after.returned - before.returned == after.brought - before.brought == 1


def test_while_it_is_reachable_nothing_is_collected() -> None:
    called: list[object] = []
    node = by_its_free_function(adopt, called)
    gc.collect()
    assert called == []
    assert len(node.buffer) == 256
    node.buffer.release()
    assert called == [256]


def test_a_free_function_among_the_garbage_is_called_whole() -> None:
    """Its globals, defaults and closure are there: it is called before anything is cleared."""
    seen: list[str] = []

    def make() -> None:
        node, word = Node(), "closure"

        def free(memory: object, again: Any = node, default: str = "default") -> None:
            seen.extend([word, default, Node.__name__, type(again.buffer).__name__])

        node.buffer = adopt(b"x", free=free)

    make()
    gc.collect()
    assert seen == ["closure", "default", "Node", "Buffer"]


def test_a_cycle_with_a_memoryview_stays_until_that_is_released() -> None:
    called: list[object] = []
    node = by_its_free_function(adopt, called)
    node.view = view = memoryview(node.buffer)
    watch = weakref.ref(node)
    del node
    gc.collect()
    assert watch() is not None
    view.release()
    gc.collect()
    assert watch() is None
    assert called == [256]


def test_a_finalizer_that_takes_a_memoryview_keeps_the_cycle() -> None:
    called: list[object] = []
    kept: list[Any] = []

    class Keeper(Node):
        def __del__(self) -> None:
            kept.append(memoryview(self.buffer))

    def make() -> None:
        keeper = Keeper()

        def free(memory: bytes, again: Any = keeper) -> None:
            called.append(memory)

        keeper.buffer = adopt(b"x", free=free)

    make()
    gc.collect()
    # Whichever of the two the collector finalised first, what can be seen is valid.
    if kept:
        assert bytes(kept[0]) == b"x"
        assert called == []
        owner = kept[0].obj
        kept.clear()
        gc.collect()
        owner.release()
    assert called == [b"x"]


def test_a_buffer_of_a_pool_is_left_to_whom_it_belongs(pool: Pool) -> None:
    seen: list[bool] = []

    class Owner(Node):
        def __del__(self) -> None:
            seen.append(self.buffer.is_released)

    owner = Owner()
    owner.buffer = pool.alloc()
    owner.buffer_too = [owner]  # type: ignore[attr-defined]
    del owner
    gc.collect()
    assert seen == [False]


def test_a_view_of_itself_in_its_own_chain_stays_until_it_is_trimmed_off(pool: Pool) -> None:
    """No collector sees the circle, and the view is Exported to whoever would release it."""
    before = brought()
    view = pool.alloc().into_skb(0, 100)
    view.append_frag(adopt(memoryview(view)).into_skb())
    for verb in (view.release, view.linearize, view.unshare, lambda: SkbBatch([view])):
        with pytest.raises(Exported):
            verb()
    gc.collect()
    assert (len(view), brought().returned) == (200, before.returned)
    view.trim(100)
    assert (view.is_chain, brought().returned) == (False, before.returned + 1)
    view.release()
    assert pool.stats().in_flight == 0
