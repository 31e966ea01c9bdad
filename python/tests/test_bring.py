"""Python memory as buffers: `init_zero_copy_buffer` and `adopt`."""

import gc
import mmap
import sys
import threading
import weakref
from array import array
from collections.abc import Callable
from typing import Any

import pytest
import skbpool
from skbpool import BadMemory, adopt, brought, init_zero_copy_buffer

BRING: dict[str, Callable[..., skbpool.Buffer]] = {
    "adopt": adopt,
    "init_zero_copy_buffer": init_zero_copy_buffer,
}


class Freed:
    """A free function that remembers what it was called with, and by which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, int]] = []

    def __call__(self, memory: object) -> None:
        self.calls.append((memory, threading.get_ident()))


@pytest.mark.parametrize("bring", BRING)
def test_freed_once_with_the_object_when_the_last_view_goes(bring: str) -> None:
    memory, freed, before = bytearray(1024), Freed(), brought()
    with BRING[bring](memory, free=freed).arm(3) as armed:
        views = [memoryview(armed.skb(64 * number, 10)) for number in range(3)]
    while views:
        assert freed.calls == []
        with pytest.raises(BufferError):
            memory.append(0)
        views.pop().release()
    assert freed.calls == [(memory, threading.get_ident())]
    memory.append(0)
    after = brought()
    assert (after.brought - before.brought, after.returned - before.returned) == (1, 1)
    assert after.leaked == 0


@pytest.mark.parametrize("bring", BRING)
def test_the_object_lives_as_long_as_its_views(bring: str) -> None:
    class Memory(bytearray):
        """A bytearray that can be watched."""

    memory = Memory(1024)
    watch = weakref.ref(memory)
    skb = BRING[bring](memory).into_skb(0, 4)
    del memory
    gc.collect()
    assert watch() is not None
    assert bytes(skb) == bytes(4)
    skb.release()
    assert watch() is None


@pytest.mark.parametrize("bring", BRING)
def test_what_a_free_function_raises_is_reported_and_stops_nothing(
    bring: str, unraisable: list[Any]
) -> None:
    def free(memory: object) -> None:
        raise RuntimeError("from free")

    with BRING[bring](bytearray(1024), free=free).into_skb(0, 4):
        pass
    assert [str(error) for error in unraisable] == ["from free"]


def test_an_exception_on_its_way_survives_a_free_function() -> None:
    freed = Freed()

    def fail() -> None:
        skb = adopt(b"frame", free=freed).into_skb()
        view = memoryview(skb)
        del skb
        raise KeyError(len(view))

    with pytest.raises(KeyError) as caught:
        fail()
    del caught
    gc.collect()
    assert len(freed.calls) == 1


def test_the_free_function_may_come_back(unraisable: list[Any]) -> None:
    skbs: list[skbpool.Skb] = []
    seen: list[bool] = []

    def free(memory: object) -> None:
        seen.append(skbs[0].is_released)
        skbs[0].release()

    skbs.append(adopt(b"frame", free=free).into_skb())
    skbs[0].release()
    buffer: skbpool.Buffer = adopt(b"frame", free=lambda memory: buffer.release())
    buffer.release()
    batch = skbpool.SkbBatch([adopt(b"x", free=lambda memory: batch.release()).into_skb()])
    batch.release()
    assert (seen, unraisable) == ([True], [])


@pytest.mark.parametrize("bring", BRING)
@pytest.mark.parametrize("free", [7, "free", b""])
def test_a_free_function_is_callable(bring: str, free: Any) -> None:
    with pytest.raises(TypeError, match="callable"):
        BRING[bring](bytearray(1024), free=free)


@pytest.mark.parametrize("wrong", [None, 7, "text", [1, 2]])
def test_memory_is_bytes_like(wrong: Any) -> None:
    for bring in BRING.values():
        with pytest.raises(TypeError):
            bring(wrong)


@pytest.mark.parametrize(
    "memory",
    [
        b"",
        b"bytes",
        bytearray(b"array"),
        memoryview(b"view"),
        array("I", [1, 2]),
        mmap.mmap(-1, 4096),
    ],
)
def test_any_contiguous_object_is_adopted(memory: Any) -> None:
    with adopt(memory).into_skb() as skb:
        assert bytes(skb) == bytes(memoryview(memory).cast("B") if len(memory) else b"")


def test_memory_that_is_not_contiguous_is_refused() -> None:
    with pytest.raises(BufferError):
        adopt(memoryview(b"0123")[::2])


@pytest.mark.parametrize("size", [0, 1, 63])
def test_memory_too_small_for_a_header_is_given_back(size: int) -> None:
    memory, freed, before = bytearray(size), Freed(), brought().brought
    with pytest.raises(BadMemory, match="too few"):
        init_zero_copy_buffer(memory, free=freed)
    assert freed.calls == []
    memory.append(0)
    assert sys.getrefcount(memory) == 2
    assert brought().brought == before


def test_read_only_memory_takes_no_header() -> None:
    with pytest.raises(BufferError):
        init_zero_copy_buffer(b"read-only" * 100)


@pytest.mark.parametrize("offset", [0, 1, 16, 63, 64])
def test_the_header_takes_the_first_aligned_bytes(offset: int) -> None:
    page = mmap.mmap(-1, 8192)
    memory = memoryview(page)[offset:1024]
    buffer = init_zero_copy_buffer(memory, order=3)
    skip = -offset % 64
    assert (len(buffer), buffer.order) == (1024 - offset - skip - 64, 3)
    whole = memoryview(buffer)
    whole[:] = b"x" * len(whole)
    assert page[: offset + skip] == bytes(offset + skip), "nothing before the header is touched"
    assert page[1024:] == bytes(8192 - 1024)
    whole.release()
    buffer.release()
    memory.release()
    page.close()


@pytest.mark.parametrize("bring", BRING)
def test_released_by_another_python_thread_it_is_freed_there(bring: str) -> None:
    freed = Freed()
    skb = BRING[bring](bytearray(1024), free=freed).into_skb(0, 4)
    thread = threading.Thread(target=skb.release)
    thread.start()
    thread.join()
    assert [ident for _, ident in freed.calls] == [thread.ident]


def test_many_threads_each_object_once() -> None:
    freed = Freed()
    skbs = [adopt(bytes([number]), free=freed).into_skb() for number in range(200)]
    clones = [skb.clone() for skb in skbs]
    start = threading.Barrier(2)

    def release(views: list[skbpool.Skb]) -> None:
        start.wait()
        for view in views:
            view.release()

    threads = [threading.Thread(target=release, args=(views,)) for views in (skbs, clones)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(memory[0] for memory, _ in freed.calls) == list(range(200))  # type: ignore[index]
