"""A Cython module compiled against the installed package, and used."""

import os
import re
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import skbpool
from skbpool import BufferReleased, Exported, Pool, Skb, SkbBatch, adopt, brought


def test_views_of_its_own_memory_are_ordinary_skbs(cython_driver: ModuleType) -> None:
    before = cython_driver.freed_count()
    skbs = cython_driver.receive([b"first", b"second", b"third"])
    assert cython_driver.IS_SAME_CLASS
    assert all(isinstance(skb, Skb) for skb in skbs)
    assert b" ".join(bytes(skb) for skb in skbs) == b"first second third"
    assert skbs[1].address == skbs[0].address + 5
    view = memoryview(skbs[2])
    skbs[0].release()
    skbs[1].release()
    del skbs
    assert cython_driver.freed_count() == before
    assert view.tobytes() == b"third"
    del view
    assert cython_driver.freed_count() == before + 1


def test_the_free_function_is_called_once_whichever_thread_is_last(
    cython_driver: ModuleType,
) -> None:
    before = cython_driver.freed_count()
    for last in range(3):
        skbs = cython_driver.receive([b"a", b"b", b"c"])
        skbs.append(skbs.pop(last))
        skbs[0].release()
        thread = threading.Thread(target=skbs[1].release)
        thread.start()
        thread.join()
        assert cython_driver.freed_count() == before + last
        assert cython_driver.release_on_native_thread(skbs[2])
        assert cython_driver.freed_count() == before + last + 1


def test_a_native_thread_lets_python_memory_go_through_the_reaper(
    cython_driver: ModuleType,
) -> None:
    freed = threading.Event()
    threads = []

    def free(memory: bytes) -> None:
        threads.append(threading.get_ident())
        freed.set()

    before = brought()
    skb = adopt(b"frame", free=free).into_skb()
    assert cython_driver.release_on_native_thread(skb)
    assert freed.wait(30)
    assert threads != [threading.get_ident()]
    # The figures follow the call; taking them needs the interpreter lock, which the reaper holds
    # until it has counted.
    while brought().waiting:
        threading.Event().wait(0.001)
    assert brought().returned == before.returned + 1


def test_many_native_releases_are_each_let_go_of_once(cython_driver: ModuleType) -> None:
    count = 500
    freed: list[int] = []
    done = threading.Event()

    def free(memory: bytes) -> None:
        freed.append(memory[0] * 256 + memory[1])
        if len(freed) == count:
            done.set()

    for number in range(count):
        skb = adopt(bytes([number // 256, number % 256]), free=free).into_skb()
        assert cython_driver.release_on_native_thread(skb)
    assert done.wait(30)
    assert sorted(freed) == list(range(count))


def test_a_batch_is_read_without_the_interpreter_lock(
    cython_driver: ModuleType, pool: Pool
) -> None:
    with SkbBatch() as batch:
        for letter in b"abc":
            buffer = pool.alloc()
            memoryview(buffer)[0] = letter
            batch.append(buffer.into_skb(0, 60))
        assert cython_driver.sum_of_first_bytes(batch) == sum(b"abc")


def test_codes_and_pools_reach_cython(cython_driver: ModuleType, pool: Pool) -> None:
    with pool.alloc().into_skb(8, 60) as skb:
        assert cython_driver.push_code(skb, 16) == cython_driver.NO_HEADROOM
        assert cython_driver.push_code(skb, 8) == 0
    assert cython_driver.first_bytes_of_pool(pool) == 0
    pool.close()
    assert cython_driver.first_bytes_of_pool(pool) < 0


def test_a_slice_that_is_gone_is_nobody_to_cython(cython_driver: ModuleType, pool: Pool) -> None:
    with pool.alloc().into_skb(8, 60) as skb:
        skb[0:4]
        assert cython_driver.references_of(skb) == 2
        assert cython_driver.push_code(skb, 8) == 0
        assert cython_driver.references_of(skb) == 1


def test_a_slice_that_is_measured_ends_when_it_is_gone(
    cython_driver: ModuleType, pool: Pool
) -> None:
    with pool.alloc().into_skb(8, 60) as skb:
        part = skb[0:4]
        cython_driver.set_birth(part, 1)
        del part
        assert cython_driver.references_of(skb) == 1


def test_a_copied_frame_says_so(cython_driver: ModuleType, pool: Pool) -> None:
    with pool.alloc().into_skb(8, 60) as skb:
        skb.original_length = 1500
        assert (skb.is_copied, skb.original_length) == (False, 1500)
        cython_driver.set_copied(skb)
        assert (skb.is_copied, skb.original_length) == (True, 1500)
    with pytest.raises(BufferReleased):
        print(skb.is_copied)


def test_methods_for_cython_are_only_ever_appended() -> None:
    declarations = Path(skbpool.__file__).with_name("_skb.pxd").read_text()
    methods = re.findall(r"^    cdef .*?(\w+)\(self", declarations, re.MULTILINE)
    # Modules that were compiled find a method by its place.
    assert methods[:4] == ["live", "unexport", "unwrite", "part"]
    assert methods[4:] == ["alive", "settle_own", "bytes_at"]


def test_every_misuse_has_a_code_and_changes_nothing(cython_driver: ModuleType, pool: Pool) -> None:
    assert cython_driver.misused(pool) == [True] * 5
    stats = pool.stats()
    assert (stats.in_flight, stats.violations, stats.state) == (0, 0, "closed")


def test_what_happens_to_a_pool_of_python_is_told_to_cython(cython_driver: ModuleType) -> None:
    pool = Pool(16, watermarks=(4, 8))
    pool.alloc().into_skb(0, 10).copy().release()
    copied = skbpool.copies()["skb_copy"]["bytes"]
    assert cython_driver.emptied(pool) == (True, cython_driver.ALL_EVENTS, copied)


def test_a_forked_pool_has_a_code_of_its_own(cython_driver: ModuleType, pool: Pool) -> None:
    child = os.fork()
    if child == 0:
        code = cython_driver.first_bytes_of_pool(pool)
        os._exit(0 if code == cython_driver.FORKED_POOL else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("wrong", [None, 7, "pool", b"bytes"])
def test_other_objects_are_a_type_error(cython_driver: ModuleType, wrong: Any) -> None:
    for function in (
        cython_driver.release_on_native_thread,
        cython_driver.sum_of_first_bytes,
        cython_driver.first_bytes_of_pool,
    ):
        with pytest.raises(TypeError):
            function(wrong)


def test_a_used_or_exported_view_is_not_moved(cython_driver: ModuleType, pool: Pool) -> None:
    skb = pool.alloc().into_skb(0, 60)
    with memoryview(skb), pytest.raises(Exported):
        cython_driver.release_on_native_thread(skb)
    assert len(skb) == 60
    skb.release()
    with pytest.raises(BufferReleased):
        cython_driver.release_on_native_thread(skb)
