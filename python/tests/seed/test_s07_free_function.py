"""S7: the buffer is freed by a function its owner names, once, from whatever thread."""

import threading
from types import ModuleType

import pytest
from skbpool import adopt, init_zero_copy_buffer

pytestmark = pytest.mark.seed


def test_a_python_function_frees_on_the_thread_that_is_last() -> None:
    freed: list[tuple[int, int | None]] = []

    def free(memory: bytes | bytearray) -> None:
        freed.append((len(memory), threading.get_ident()))

    here = adopt(b"here", free=free).into_skb()
    there = init_zero_copy_buffer(bytearray(1024), free=free).into_skb(0, 60)
    here.release()
    thread = threading.Thread(target=there.release)
    thread.start()
    thread.join()
    here.release()
    there.release()
    assert freed == [(4, threading.get_ident()), (1024, thread.ident)]
    print(
        f"\nS7: a Python function freed 4 bytes on thread {freed[0][1]}, 1024 on thread "
        f"{freed[1][1]}; once each, though released twice"
    )


def test_a_function_in_cython_frees_on_a_native_thread(cython_driver: ModuleType) -> None:
    before = cython_driver.freed_count()
    first, second = cython_driver.receive([b"first", b"second"])
    first.release()
    assert cython_driver.freed_count() == before
    assert cython_driver.release_on_native_thread(second)
    assert cython_driver.freed_count() == before + 1
    print("\nS7: a C function in Cython freed 2 views' buffer on a native thread, once")


def test_python_memory_dropped_by_a_native_thread_is_freed_by_the_reaper(
    cython_driver: ModuleType,
) -> None:
    done = threading.Event()
    freed: list[tuple[bytes, int]] = []

    def free(memory: bytes) -> None:
        freed.append((memory, threading.get_ident()))
        done.set()

    assert cython_driver.release_on_native_thread(adopt(b"frame", free=free).into_skb())
    assert done.wait(30)
    assert [memory for memory, _ in freed] == [b"frame"]
    assert freed[0][1] != threading.get_ident()
    print(f"\nS7: dropped by a thread without Python, freed once on the reaper's, {freed[0][1]}")
